# Ends the process at once, with the exit code for what is not available now.
# python: {outcome: crashed, error: "exit 75 in the middle of its work"}
# command: {outcome: unavailable, error: "exit 75"}

import os


def handle(event, context):
    os._exit(75)
