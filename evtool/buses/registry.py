"""The table of kinds of buses by the scheme of their URLs; the module of a kind is imported when it is used."""

from importlib import import_module

from evtool.buses.base import Bus, Kind
from evtool.buses.settings import BusSettings
from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean


def on_demand(module: str, form: str) -> Kind:
    """A kind of bus whose module, a path below `evtool.buses`, has the function `open_bus`."""

    def open_bus(settings: BusSettings) -> Bus:
        opened: Bus = import_module(f"evtool.buses.{module}").open_bus(settings)
        return opened

    return Kind(form, open_bus)


KINDS: dict[str, Kind] = {
    "kafka": on_demand("kafka.bus", "kafka://HOST:PORT/TOPIC"),
    "kafkas": on_demand("kafka.bus", "kafkas://HOST:PORT/TOPIC"),
    "eventhubs": on_demand("kafka.bus", "eventhubs://HUB"),
    "file": on_demand("json_file", "file:PATH.jsonl"),
}


def open_bus(settings: BusSettings) -> Bus:
    """The bus with some settings. Nothing is connected yet. Raises UsageError for settings that cannot be right."""
    return find_kind(settings).open(settings)


def find_kind(settings: BusSettings) -> Kind:
    """The kind of a bus. Raises UsageError."""
    scheme = settings.url.scheme
    if scheme not in KINDS:
        hint = did_you_mean(scheme, KINDS) or f"a bus is one of {', '.join(kind.form for kind in KINDS.values())}"
        raise UsageError(f"there is no kind of bus {scheme}; {hint}")
    return KINDS[scheme]
