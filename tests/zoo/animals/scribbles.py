# Writes to every file descriptor that it has.
# python: {outcome: crashed, error: "something wrote to the pipe that belongs to evtool"}
# command: {outcome: done}

import os
from contextlib import suppress


def handle(event, context):
    for descriptor in range(3, 1024):
        with suppress(OSError):
            os.write(descriptor, b"rubbish")
