# Calls sys.exit with a number.
# python: {outcome: failed, error: "SystemExit: 3 (animal.py"}
# command: {outcome: failed, error: "exit 3"}

import sys


def handle(event, context):
    sys.exit(3)
