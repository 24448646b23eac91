# Writes to every file descriptor that it has, for ever.
# python: {outcome: crashed, error: "something wrote to the pipe that belongs to evtool"}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import os
from contextlib import suppress


def handle(event, context):
    while True:
        for descriptor in range(3, 1024):
            with suppress(OSError):
                os.write(descriptor, b"\0" * 10_000)
