# Prints 200 megabytes.
# python: {outcome: done}
# command: {outcome: done}


def handle(event, context):
    for _ in range(2000):
        print("x" * 100_000)
