# Kills itself.
# python: {outcome: crashed, error: "killed by SIGKILL"}
# command: {outcome: crashed, error: "killed by SIGKILL"}

import os
import signal


def handle(event, context):
    os.kill(os.getpid(), signal.SIGKILL)
