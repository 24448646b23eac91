# Emits an object in which two keys are the same when they are written.
# python: {outcome: bad-result, answer: done, error: "twice"}
# command: {outcome: bad-result, error: "twice"}


def handle(event, context):
    context.emit("zoo.plain", {1: "a", "1": "b"})
