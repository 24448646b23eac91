# Breaks a module that everybody uses.
# python: {outcome: done}
# command: {outcome: done}

import json


def handle(event, context):
    json.loads = json.dumps = None
