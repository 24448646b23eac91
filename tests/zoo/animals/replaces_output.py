# Puts something else in the place of standard output and error.
# python: {outcome: done}
# command: {outcome: done}

import io
import sys


def handle(event, context):
    sys.stdout.detach()
    sys.stdout = io.StringIO()
    sys.stderr = None
