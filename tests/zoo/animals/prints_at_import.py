# Prints while it is imported.
# python: {outcome: done}
# command: {outcome: done}

print("hello" * 10_000)


def handle(event, context):
    print("there")
