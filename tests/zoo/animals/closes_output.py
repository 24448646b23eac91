# Closes standard output and error, as files and as descriptors.
# python: {outcome: done}
# command: {outcome: done}

import os
import sys


def handle(event, context):
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.close(1)
    os.close(2)
    os.open(os.devnull, os.O_RDONLY)
