# Emits when it has answered already: that event is lost, and evtool reports it.
# python: {outcome: done}

import threading


def handle(event, context):
    threading.Timer(0.3, context.emit, ["zoo.small", {}]).start()
