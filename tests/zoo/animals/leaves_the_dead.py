# Starts processes that become nobody's and end, and never asks how.
# python: {outcome: done}
# command: {outcome: done}

import os
import time


def handle(event, context):
    for _ in range(20):
        if os.fork() == 0:
            os.setsid()
            os.fork()
            os._exit(0)
        os.wait()
    time.sleep(0.1)
