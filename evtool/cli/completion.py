"""Shell completion: event types, routes, handlers and samples of the project; errors give no suggestions."""

from collections.abc import Callable

from evtool.errors import EvtoolError
from evtool.routes import project as project_file
from evtool.routes.project import Project


def complete_types(prefix: str) -> list[str]:
    """Event types that have a schema."""
    return _complete(prefix, _list_types)


def complete_routes(prefix: str) -> list[str]:
    """Names of routes."""
    return _complete(prefix, lambda p: p.names_in("routes"))


def complete_handlers(prefix: str) -> list[str]:
    """Names of handlers."""
    return _complete(prefix, lambda p: p.names_in("handlers"))


def complete_intakes(prefix: str) -> list[str]:
    """Names of intakes."""
    return _complete(prefix, lambda p: p.names_in("intake"))


def complete_samples(prefix: str) -> list[str]:
    """Names of sample events."""
    return _complete(prefix, lambda p: list(p.list_samples()))


def _list_types(project: Project) -> list[str]:
    # every command imports this module, few complete a type
    from evtool.schemas.catalog import Catalog  # noqa: PLC0415
    from evtool.schemas.references import Library  # noqa: PLC0415

    folders = [folder for folder in project.schemas if folder.is_dir()]
    return Catalog(folders, project.named_schemas, Library(folders)).list_types()


def _complete(prefix: str, list_names: Callable[[Project], list[str]]) -> list[str]:
    try:
        project = project_file.read_project()
    except EvtoolError:
        return []
    if project:
        return sorted({name for name in list_names(project) if name.startswith(prefix)})
    return []
