# Forks, and both return.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    os.fork()
