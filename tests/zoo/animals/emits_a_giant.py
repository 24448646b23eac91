# Emits an event that is longer than an event may be.
# python: {outcome: bad-result, answer: done, error: "emitted zoo.big, which is too long"}
# command: {outcome: bad-result, error: "emitted line 1, which is too long"}


def handle(event, context):
    context.emit("zoo.big", {"text": "x" * 5_000_000})
