# Raises an exception with a message of 100 megabytes.
# python: {outcome: failed, error: "xxx"}
# command: {outcome: failed, error: "xxx"}


def handle(event, context):
    raise ValueError("x" * 100_000_000)
