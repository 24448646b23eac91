"""The same as a program: it does what the event on stdin asks for."""
# ruff: noqa: T201

import json
import os
import sys
from pathlib import Path

import functions


def emit(event):
    lines = [
        {"DetailType": "payment.authorized", "Detail": '{"total": 1.5, "name": "Žižek"}'},
        {"DetailType": "payment.told", "Source": "bank", "Detail": {}},
    ]
    Path(os.environ["EVTOOL_EMIT"]).write_text("".join(json.dumps(line) + "\n" for line in lines))


def fail(event):
    emit(event)
    print("ValueError: the card is blocked", file=sys.stderr, flush=True)
    print("this is no error")
    sys.exit(3)


def main(event):
    do = event["detail"]["do"]
    if do in globals():
        globals()[do](event)
    else:
        getattr(functions, do)(event, None)


main(json.load(sys.stdin))
