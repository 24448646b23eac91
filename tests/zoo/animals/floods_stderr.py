# Complains for ever.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import os


def handle(event, context):
    while True:
        os.write(2, b"x" * 100_000)
