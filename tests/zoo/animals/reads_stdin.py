# Reads standard input to its end, which is here.
# python: {outcome: done}
# command: {outcome: done}

import sys


def handle(event, context):
    assert sys.stdin.read() == ""
