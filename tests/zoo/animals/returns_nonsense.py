# Returns what cannot be written down.
# python: {outcome: done}
# command: {outcome: done}


def handle(event, context):
    return {object(), handle, 1j}
