# Becomes a daemon, as the books tell: the process that was called exits.
# python: {outcome: crashed, error: "exit 0 in the middle of its work"}
# command: {outcome: done}

import os
import time


def handle(event, context):
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    time.sleep(600)
