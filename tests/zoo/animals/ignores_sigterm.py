# Ignores the request to end.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import signal
import time


def handle(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
