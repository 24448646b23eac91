# Leaves a child in a session of its own that remembers nothing of where it came from.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "600"], {})
        os._exit(0)
    os.wait()
