# Emits what is no JSON.
# python: {outcome: failed, error: "TypeError"}
# command: {outcome: failed, error: "TypeError"}


def handle(event, context):
    context.emit("zoo.small", {"set": {1, 2}})
