# Takes half a gigabyte, which is more than it may have.
# python: {outcome: failed, error: "(its memory is limited to 300MB)"}
# command: {outcome: failed, error: "(its memory is limited to 300MB)"}
# options: {memory: 300MB}


def handle(event, context):
    len(b"x" * 500_000_000)
