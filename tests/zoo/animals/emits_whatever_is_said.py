# Emits for ever, and does not listen to what is said against it.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: bad-result, error: "emitted more than 1048576 bytes (emit_bytes)"}
# options: {timeout: 1500ms, emit_bytes: 1MiB}

from contextlib import suppress


def handle(event, context):
    while True:
        with suppress(ValueError):
            context.emit("zoo.small", {"text": "x" * 10_000})
