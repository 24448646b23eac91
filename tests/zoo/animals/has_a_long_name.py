# Raises an exception whose class has a name of some megabytes.
# python: {outcome: failed, error: "LongLong"}
# command: {outcome: failed, error: "LongLong"}


def handle(event, context):
    raise type("Long" * 1_000_000, (Exception,), {})("so there")
