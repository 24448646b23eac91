# Ends the process at once, with exit code 0.
# python: {outcome: crashed, error: "exit 0 in the middle of its work"}
# command: {outcome: done}

import os


def handle(event, context):
    os._exit(0)
