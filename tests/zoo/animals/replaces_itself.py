# Puts something broken in the place of its own file.
# python: {outcome: done}
# command: {outcome: done}

from pathlib import Path


def handle(event, context):
    Path(__file__).write_text("this is broken")
