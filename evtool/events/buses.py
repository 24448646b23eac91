"""The event bus of an event: its name in the entry of a PutEvents request, or the default bus."""

from evtool.events.event import Event

# The name of the bus that every account of EventBridge has.
DEFAULT_BUS = "default"


def parse_bus_name(value: object) -> str | None:
    """Returns the name of the bus in `EventBusName`, which may be an ARN; None if the entry has no bus.

    Raises ValueError if the value is not a string.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("EventBusName is not a string")
    if value.startswith("arn:"):
        # arn:aws:events:eu-central-1:123456789012:event-bus/orders
        return value.split(":", 5)[-1].removeprefix("event-bus/")
    return value


def name_bus(event: Event, bus: str | None) -> Event:
    """Returns the event with a bus, unless the event already has one."""
    if event.bus or bus is None:
        return event
    return event._replace(bus=bus)
