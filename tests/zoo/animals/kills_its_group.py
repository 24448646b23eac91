# Kills the process group that it is in.
# python: {outcome: crashed, error: "killed by SIGKILL"}
# command: {outcome: crashed, error: "killed by SIGKILL"}

import os
import signal


def handle(event, context):
    os.killpg(0, signal.SIGKILL)
