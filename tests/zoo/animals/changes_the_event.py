# Empties the event that it was given.
# python: {outcome: done}
# command: {outcome: done}


def handle(event, context):
    event["detail"].clear()
    event.clear()
