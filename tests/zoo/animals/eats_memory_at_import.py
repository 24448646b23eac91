# Takes ever more memory while it is imported.
# python: {outcome: unavailable, error: "(its memory is limited to 300MB)", next: unavailable}
# command: {outcome: failed, error: "(its memory is limited to 300MB)"}
# options: {memory: 300MB}

HOARD = []
while True:
    HOARD.append(b"x" * 10_000_000)
