# Is a generator, of which nothing has run.
# python: {outcome: failed, error: "the handler did nothing"}


def handle(event, context):
    yield event
