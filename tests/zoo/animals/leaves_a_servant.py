# Leaves a child in a session of its own and with a clean environment, as those do that start services.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "600"], {"PATH": "/usr/bin:/bin", "HOME": "/"})
        os._exit(0)
    os.wait()
