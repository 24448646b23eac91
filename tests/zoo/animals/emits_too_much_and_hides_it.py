# Emits one event too many, and does not let on.
# python: {outcome: bad-result, error: "emitted more than 100 events (emit_limit)"}
# command: {outcome: bad-result, error: "emitted more than 100 events (emit_limit)"}

from contextlib import suppress


def handle(event, context):
    with suppress(ValueError):
        for number in range(101):
            context.emit("zoo.small", {"number": number})
