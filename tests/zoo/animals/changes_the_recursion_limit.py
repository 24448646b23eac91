# Leaves a recursion limit with which nothing works.
# python: {outcome: done}
# command: {outcome: done}

import sys


def handle(event, context):
    sys.setrecursionlimit(30)
