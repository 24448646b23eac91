"""The animal as a Python function. When it is to be tame, its process has to be as it was at first."""

import os
import sys
from pathlib import Path

DEPTH = sys.getrecursionlimit()

import animal  # noqa: E402


def handle(event, context):
    """Do what the event asks for."""
    if event["detail"]["do"] == "be wild":
        return animal.handle(event, context)
    assert event["id"] == "tame"
    assert Path.cwd() == Path(__file__).parent
    assert sys.getrecursionlimit() == DEPTH
    assert sys.stdin.read() == ""
    assert os.read(0, 1) == b""
    print("tame", flush=True)
    os.write(2, b"tame\n")
    return None
