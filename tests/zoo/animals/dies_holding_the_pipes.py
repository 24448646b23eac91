# Ends at once, and leaves a child that holds all that it had open.
# python: {outcome: crashed, error: "exit 3 in the middle of its work"}
# command: {outcome: failed, error: "exit 3"}

import os
import time


def handle(event, context):
    if os.fork() == 0:
        time.sleep(600)
    os._exit(3)
