# Takes ever more memory.
# python: {outcome: failed, error: "(its memory is limited to 300MB)"}
# command: {outcome: failed, error: "(its memory is limited to 300MB)"}
# options: {memory: 300MB}

HOARD = []


def handle(event, context):
    while True:
        HOARD.append(b"x" * 10_000_000)
