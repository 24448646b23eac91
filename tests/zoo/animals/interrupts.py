# Raises KeyboardInterrupt.
# python: {outcome: failed, error: "KeyboardInterrupt (animal.py"}
# command: {outcome: crashed, error: "killed by SIGINT"}


def handle(event, context):
    raise KeyboardInterrupt
