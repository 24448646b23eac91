"""Opens the bus that a command line names by URL, or by its name in routes.yaml."""

from evtool.buses.base import Bus
from evtool.buses.registry import KINDS, open_bus
from evtool.buses.settings import list_buses, read_settings
from evtool.cli.inputs import resolve_path
from evtool.routes.project import Project


def open_named_bus(bus: str, project: Project | None) -> Bus:
    """The bus of a URL or name. It connects when it is used. Raises UsageError."""
    return open_bus(read_settings(bus, project))


def is_bus(text: str, project: Project) -> bool:
    """Whether a text that may also be a path or the name of a sample means a bus."""
    if text.partition(":")[0].lower() in KINDS and ":" in text:
        return True
    return text in list_buses(project) and resolve_path(text, project) is None
