# Recurs without end.
# python: {outcome: failed, error: "RecursionError"}
# command: {outcome: failed, error: "RecursionError"}


def handle(event, context):
    handle(event, context)
