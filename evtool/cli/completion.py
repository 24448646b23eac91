"""Shell completion: suggests event types, routes, handlers, intakes and samples of the project.

A broken project gives no suggestions: a message would be printed into the line that the user is typing.
"""

from collections.abc import Callable, Iterable
from functools import partial

from evtool.errors import EvtoolError
from evtool.routes import project as project_file
from evtool.routes.project import Project


def complete_types(prefix: str) -> list[str]:
    """Suggests event types that have a schema."""
    return _complete(prefix, _list_types)


def complete_routes(prefix: str) -> list[str]:
    """Suggests names of routes."""
    return _complete(prefix, partial(_list_names, "routes"))


def complete_handlers(prefix: str) -> list[str]:
    """Suggests names of handlers."""
    return _complete(prefix, partial(_list_names, "handlers"))


def complete_intakes(prefix: str) -> list[str]:
    """Suggests names of intakes."""
    return _complete(prefix, partial(_list_names, "intake"))


def complete_samples(prefix: str) -> list[str]:
    """Suggests names of sample events."""
    return _complete(prefix, Project.list_samples)


def _list_names(section: str, project: Project) -> list[str]:
    return project.names_in(section)


def _list_types(project: Project) -> list[str]:
    # Every command imports this module, but few calls complete a type.
    from evtool.schemas.catalog import Catalog  # noqa: PLC0415
    from evtool.schemas.documents.references import Library  # noqa: PLC0415

    folders = [folder for folder in project.schemas if folder.is_dir()]
    return Catalog(folders, project.named_schemas, Library(folders)).list_types()


def _complete(prefix: str, list_names: Callable[[Project], Iterable[str]]) -> list[str]:
    try:
        project = project_file.read_project()
    except EvtoolError:
        return []
    if project is None:
        return []
    return sorted({name for name in list_names(project) if name.startswith(prefix)})
