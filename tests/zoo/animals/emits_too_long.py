# Emits more than one attempt may.
# python: {outcome: bad-result, error: "emitted more than 16777216 bytes (emit_bytes)"}
# command: {outcome: bad-result, error: "emitted more than 16777216 bytes (emit_bytes)"}


def handle(event, context):
    for _ in range(17):
        context.emit("zoo.big", {"text": "x" * 1024 * 1024})
