# Goes on whatever is raised in it, a signal too.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import signal
import sys
import time


def handle(event, context):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    while True:
        try:
            time.sleep(600)
        except BaseException:
            print("never")
