# Goes to another folder.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    os.chdir("/")
