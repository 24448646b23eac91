# Emits when its process ends: that event is lost, and evtool reports it.
# python: {outcome: done}

import atexit


def handle(event, context):
    atexit.register(context.emit, "zoo.small", {})
