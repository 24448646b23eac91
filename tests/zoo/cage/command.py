"""The animal as a program."""

import json
import os
import sys
from pathlib import Path


class Context:
    """What the animal emits with."""

    def emit(self, type, detail):
        """Write an event into the file for it."""
        line = json.dumps({"DetailType": type, "Detail": detail})
        with Path(os.environ["EVTOOL_EMIT"]).open("a") as file:
            file.write(line + "\n")


event = json.load(sys.stdin)
if event["detail"]["do"] == "be wild":
    import animal

    animal.handle(event, Context())
