"""What a shell can complete: event types, routes, handlers and samples of the project, without complaint."""

from collections.abc import Callable

from evtool.errors import EvtoolError
from evtool.routes import project as projects
from evtool.routes.project import Project


def types(begun: str) -> list[str]:
    """Event types that have a schema."""
    return _begins(begun, lambda p: [f.stem.rpartition("@")[2] for d in p.schemas for f in d.glob("*.json")])


def routes(begun: str) -> list[str]:
    """Names of routes."""
    return _begins(begun, lambda p: p.names_in("routes"))


def handlers(begun: str) -> list[str]:
    """Names of handlers."""
    return _begins(begun, lambda p: p.names_in("handlers"))


def samples(begun: str) -> list[str]:
    """Names of sample events."""
    return _begins(begun, lambda p: [f.stem for d in p.samples for f in d.rglob("*.json")])


def _begins(begun: str, names: Callable[[Project], list[str]]) -> list[str]:
    try:
        project = projects.read_project()
    except EvtoolError:
        return []
    return sorted({name for name in names(project) if name.startswith(begun)}) if project else []
