# Is an async function, of which nothing has run.
# python: {outcome: failed, error: "the handler did nothing"}


async def handle(event, context):
    raise AssertionError
