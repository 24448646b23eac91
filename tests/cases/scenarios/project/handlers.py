"""Handlers that the scenarios of the tests call."""

import threading


def charge(event, context):
    """Emits `paid` with the total of the order."""
    context.emit("paid", {"total": event["detail"]["total"]}, source="bank")


def emit_late(event, context):
    """Emits when its call is over."""
    threading.Timer(0.05, lambda: context.emit("paid", {"total": 1})).start()


def raise_error(event, context):
    """Fails."""
    raise RuntimeError("out of order")
