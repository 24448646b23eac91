# Forks when it is imported.
# python: {outcome: done}
# command: {outcome: done}

import os

os.fork()


def handle(event, context):
    pass
