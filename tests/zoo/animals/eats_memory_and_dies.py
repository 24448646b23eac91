# Takes ever more memory, and ends without a word to evtool when it gets none.
# python: {outcome: crashed, error: "killed by SIGABRT in the middle of its work (its memory is limited to 300MB)"}
# command: {outcome: crashed, error: "killed by SIGABRT: out of memory (its memory is limited to 300MB)"}
# options: {memory: 300MB}

import os
import sys


def handle(event, context):
    hoard = []
    try:
        while True:
            hoard.append(b"x" * 10_000_000)
    except MemoryError:
        hoard.clear()
        print("out of memory", file=sys.stderr, flush=True)
        os.abort()
