# Leaves a child that goes on.
# python: {outcome: done}
# command: {outcome: done}

import subprocess


def handle(event, context):
    subprocess.Popen(["sleep", "600"])
