# Empties its environment.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    os.environ.clear()
