# Emits an event that is nested deeper than an event may be.
# python: {outcome: bad-result, answer: done, error: "emitted zoo.small, which is not a valid event"}
# command: {outcome: bad-result, error: "emitted line 1, column"}


def handle(event, context):
    detail = {}
    for _ in range(300):
        detail = {"in": detail}
    context.emit("zoo.small", detail)
