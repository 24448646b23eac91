"""The handlers of `functions.py` as functions of AWS Lambda: they emit with boto3."""

import json

import boto3
import functions

EVENTS = boto3.client("events")


class Context:
    """The context of Lambda's client, with an `emit` like that of a python handler."""

    def __init__(self, context):
        self._context = context

    def __getattr__(self, name):
        return getattr(self._context, name)

    def emit(self, type, detail, *, source="charge"):  # noqa: A002
        entry = {"Source": source, "DetailType": type, "Detail": json.dumps(detail, ensure_ascii=False)}
        result = EVENTS.put_events(Entries=[entry])
        assert result["FailedEntryCount"] == 0, result


def play(event, context):
    functions.play(event, Context(context))
