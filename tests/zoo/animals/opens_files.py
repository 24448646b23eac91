# Opens files until there are no more.
# python: {outcome: failed, error: "Too many open files"}
# command: {outcome: failed, error: "Too many open files"}

import resource

HOARD = []


def handle(event, context):
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    while True:
        HOARD.append(open(__file__))
