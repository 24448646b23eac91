# Closes all file descriptors that it has, and returns.
# python: {outcome: crashed, error: "in the middle of its work"}
# command: {outcome: done}

import os


def handle(event, context):
    os.closerange(0, 4096)
