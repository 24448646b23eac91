# Emits when it has answered already: that event never was.
# python: {outcome: done}

import threading


def handle(event, context):
    threading.Timer(0.01, context.emit, ["zoo.small", {}]).start()
