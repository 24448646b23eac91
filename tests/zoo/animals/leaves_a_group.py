# Leaves a child in a process group of its own.
# python: {outcome: done}
# command: {outcome: done}

import subprocess


def handle(event, context):
    subprocess.Popen(["sleep", "600"], process_group=0)
