# Emits the event that it handles.
# python: {outcome: done, loop: true}
# command: {outcome: done, loop: true}


def handle(event, context):
    context.emit("zoo.animal", {"do": "be wild"})
