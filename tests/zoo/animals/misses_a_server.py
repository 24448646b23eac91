# Works with something that is not there now.
# python: {outcome: unavailable, error: "ConnectionRefusedError: nobody listens"}
# command: {outcome: failed, error: "ConnectionRefusedError: nobody listens"}


def handle(event, context):
    raise ConnectionRefusedError("nobody listens")
