# Emits an event, and fails: the event never was.
# python: {outcome: failed, error: "ValueError: after all"}
# command: {outcome: failed, error: "ValueError: after all"}


def handle(event, context):
    context.emit("zoo.small", {})
    raise ValueError("after all")
