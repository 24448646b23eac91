# Emits one event too many.
# python: {outcome: bad-result, error: "emitted more than 100 events (emit_limit)"}
# command: {outcome: bad-result, error: "emitted more than 100 events (emit_limit)"}


def handle(event, context):
    for number in range(101):
        context.emit("zoo.small", {"number": number})
