# Sleeps for ever.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import time


def handle(event, context):
    time.sleep(600)
