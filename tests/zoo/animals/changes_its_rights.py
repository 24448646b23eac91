# Allows nobody to read what it writes.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    os.umask(0o777)
