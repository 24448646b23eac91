# Emits for ever.
# python: {outcome: bad-result, error: "emitted more than 100 events (emit_limit)"}
# command: {outcome: bad-result, error: "emitted more than 1048576 bytes (emit_bytes)"}
# options: {emit_bytes: 1MiB}


def handle(event, context):
    while True:
        context.emit("zoo.small", {"text": "x" * 1000})
