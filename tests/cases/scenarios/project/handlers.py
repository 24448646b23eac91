"""Handlers that the scenarios of the tests call."""


def charge(event, context):
    """Emits `paid` with the total of the order."""
    context.emit("paid", {"total": event["detail"]["total"]}, source="bank")


def raise_error(event, context):
    """Fails."""
    raise RuntimeError("out of order")
