# Closes standard input.
# python: {outcome: done}
# command: {outcome: done}

import sys


def handle(event, context):
    sys.stdin.close()
