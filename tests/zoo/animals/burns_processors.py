# Keeps all processors busy, in processes of its own.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import os


def handle(event, context):
    for _ in range(4):
        if os.fork() == 0:
            break
    while True:
        pass
