# Forks, and the child raises.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    if os.fork() == 0:
        raise SystemExit(3)
