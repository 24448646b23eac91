# Leaves a child in a session of its own.
# python: {outcome: done}
# command: {outcome: done}

import subprocess


def handle(event, context):
    subprocess.Popen(["sleep", "600"], start_new_session=True)
