# Prints what cannot be encoded, which standard output of a worker bears.
# python: {outcome: done}
# command: {outcome: failed, error: "UnicodeEncodeError"}


def handle(event, context):
    print(chr(0xD800))
