# Closes standard output and error as Python has them.
# python: {outcome: done}
# command: {outcome: done}

import sys


def handle(event, context):
    sys.stdout.close()
    sys.stderr.close()
