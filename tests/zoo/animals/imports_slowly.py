# Takes longer to import than an attempt may take.
# python: {outcome: done}
# command: {outcome: timeout, error: took longer than 0.5s}
# options: {timeout: 500ms}

import time

time.sleep(1)


def handle(event, context):
    pass
