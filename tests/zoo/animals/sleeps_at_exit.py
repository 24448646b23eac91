# Has the interpreter sleep when it exits.
# python: {outcome: done}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import atexit
import time


def handle(event, context):
    atexit.register(time.sleep, 600)
