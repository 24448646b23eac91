# Leaves a thread that waits for ever.
# python: {outcome: done}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import threading


def handle(event, context):
    threading.Thread(target=threading.Event().wait).start()
