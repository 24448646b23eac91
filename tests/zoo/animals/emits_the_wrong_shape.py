# Emits an event that its schema forbids.
# python: {outcome: bad-result, answer: done, error: "emitted zoo.fed, which is not valid"}
# command: {outcome: bad-result, answer: done, error: "emitted zoo.fed, which is not valid"}


def handle(event, context):
    context.emit("zoo.fed", {"food": 5})
