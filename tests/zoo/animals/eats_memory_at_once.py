# Takes more memory at once than there is.
# python: {outcome: failed, error: "MemoryError"}
# command: {outcome: failed, error: "MemoryError"}


def handle(event, context):
    return bytearray(1 << 40)
