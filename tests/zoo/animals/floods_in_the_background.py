# Leaves a child that prints for ever.
# python: {outcome: done, log: what the child prints}
# command: {outcome: done}

import subprocess


def handle(event, context):
    subprocess.Popen(["yes"])
