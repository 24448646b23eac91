# Emits a number with more digits than are read.
# python: {outcome: bad-result, answer: done}
# command: {outcome: bad-result}

import sys


def handle(event, context):
    sys.set_int_max_str_digits(0)
    context.emit("zoo.plain", {"a": 10**5000})
