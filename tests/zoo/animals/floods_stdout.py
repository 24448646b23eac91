# Prints for ever.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}


def handle(event, context):
    while True:
        print("x" * 100_000)
