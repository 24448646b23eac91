# Emits an event that is nested without bound.
# python: {outcome: failed, error: "emit: zoo.small cannot be written as JSON"}


def handle(event, context):
    detail = {}
    for _ in range(100_000):
        detail = {"in": detail}
    context.emit("zoo.small", detail)
