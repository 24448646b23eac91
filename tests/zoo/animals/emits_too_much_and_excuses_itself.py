# Emits more than it may, and says then that what it works with is away.
# python: {outcome: bad-result, error: "emitted more than 100 events (emit_limit)"}


def handle(event, context):
    try:
        for _ in range(101):
            context.emit("zoo.plain", {})
    except ValueError:
        raise ConnectionRefusedError from None
