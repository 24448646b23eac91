# Prints for ever while it is imported.
# python: {outcome: unavailable, error: "it took longer than", next: unavailable}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

while True:
    print("x" * 100_000)
