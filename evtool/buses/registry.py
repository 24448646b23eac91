"""The table of kinds of buses by the scheme of their URLs; the module of a kind is imported when it is used."""

from importlib import import_module

from evtool.buses.base import Bus, Kind
from evtool.buses.settings import BusSettings, list_buses, read_settings
from evtool.errors import UsageError
from evtool.routes.project import Project


def on_demand(module: str, form: str, *, is_readable: bool = True) -> Kind:
    """Returns a kind of bus whose module, a path below `evtool.buses`, has the function `open_bus`."""

    def open_bus(settings: BusSettings) -> Bus:
        opened: Bus = import_module(f"evtool.buses.{module}").open_bus(settings)
        return opened

    return Kind(form, open_bus, is_readable)


KINDS: dict[str, Kind] = {
    "kafka": on_demand("kafka.bus", "kafka://HOST:PORT/TOPIC"),
    "kafkas": on_demand("kafka.bus", "kafkas://HOST:PORT/TOPIC"),
    "eventhubs": on_demand("kafka.bus", "eventhubs://HUB"),
    "eventbridge": on_demand("eventbridge", "eventbridge://BUS?region=REGION", is_readable=False),
    "file": on_demand("json_file", "file:PATH.jsonl"),
}


def describe_bus(*, must_be_readable: bool = False) -> str:
    """Returns the help of an option or argument that names a bus: the form of each kind of URL."""
    forms = [kind.form for kind in KINDS.values() if kind.is_readable or not must_be_readable]
    return f"a bus: {', '.join(forms)}, or its name in routes.yaml"


def open_bus(settings: BusSettings) -> Bus:
    """Returns the bus with some settings. Connects to nothing. Raises UsageError for settings that are wrong."""
    return find_kind(settings).open(settings)


def open_named_bus(bus: str, project: Project | None) -> Bus:
    """Returns the bus that a command line names by URL, or by its name in routes.yaml. Raises UsageError."""
    return open_bus(read_settings(bus, project))


def is_bus(text: str, project: Project) -> bool:
    """Returns whether a text is the URL of a bus, or the name of one in routes.yaml."""
    scheme, separator, _ = text.partition(":")
    return (bool(separator) and scheme.lower() in KINDS) or text in list_buses(project)


def find_kind(settings: BusSettings) -> Kind:
    """Returns the kind of a bus. Raises UsageError."""
    scheme = settings.url.scheme
    if scheme not in KINDS:
        forms = ", ".join(kind.form for kind in KINDS.values())
        raise UsageError(f"there is no kind of bus {scheme}; a bus is one of {forms}")
    return KINDS[scheme]
