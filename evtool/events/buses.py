"""The event bus of an event: its name in the entry of a PutEvents request, or the default."""

from evtool.events.event import Event

DEFAULT_BUS = "default"  # as EventBridge names it


def parse_bus_name(value: object) -> str | None:
    """The name of a bus in `EventBusName`, which may be the ARN of the bus; None if the entry names none.

    Raises ValueError if it is not a string.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("EventBusName is not a string")
    if value.startswith("arn:"):
        return value.split(":", 5)[-1].removeprefix("event-bus/")
    return value


def name_bus(event: Event, bus: str | None) -> Event:
    """The event with a bus, if it names none."""
    if event.bus or bus is None:
        return event
    return event._replace(bus=bus)
