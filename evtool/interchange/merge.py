"""Merges the rules of several files into one project."""

from collections.abc import Mapping, Sequence
from typing import Any

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.interchange.names import make_name
from evtool.routes.project_file import LocatedDocument, Project


class _MergedDocument:
    """A routes.yaml with the routes and handlers of rule sources; locations are those of routes.yaml."""

    def __init__(self, value: Mapping[str, Any], own: LocatedDocument):
        self.value = value
        self._own = own

    def source_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """Returns the path itself: the value has the shape of the text."""
        return tuple(path)

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of what a path into routes.yaml leads to, or of its key."""
        return self._own.position_of(path, key=key)


def merge(project: Project, sources: Sequence[Project]) -> Project:
    """Returns the routes of several files as one project.

    A target with the name of a handler of routes.yaml is delivered to that handler. Raises ConfigError if two routes
    have the same name.
    """
    own = project.document.value
    findings: list[Finding] = []
    own_routes, own_handlers = own.get("routes") or {}, own.get("handlers") or {}
    if not isinstance(own_routes, dict) or not isinstance(own_handlers, dict):
        return project
    functions: set[str] = set()
    external_reasons: dict[str, str] = {}
    places: dict[str, tuple[Project, str]] = {}
    routes, handlers, origins = dict(own_routes), dict(own_handlers), dict[str, Project]()
    for source in sources:
        names: dict[str, str] = {}
        for target, options in source.document.value["handlers"].items():
            names[target] = _name_handler(target, options, own_handlers, handlers)
            if names[target] not in handlers:
                handlers[names[target]] = options
                places[names[target]] = (source, target)
            if target in source.external_reasons and names[target] not in own_handlers:
                external_reasons[names[target]] = source.external_reasons[target]
            if target in source.template_functions and names[target] not in own_handlers:
                functions.add(names[target])
        for name, route in source.document.value["routes"].items():
            if name in routes:
                other = origins.get(name, project).display_name
                message = f"the route {name} is in {other}, too"
                location = source.locate(("routes", name), key=True)
                findings.append(Finding("EV022", message, route=name, suggestion="rename one of them", **location))
            routes[name] = {**route, "to": list(dict.fromkeys(names[handler] for handler in route["to"]))}
            origins[name] = source
    if findings:
        raise ConfigError(f"{_name_project(project)} cannot be used", findings)
    value = {**own, "routes": routes, "handlers": handlers}
    return project._replace(
        document=_MergedDocument(value, project.document),
        rule_sources=origins,
        handler_sources=places,
        notes=tuple(note for source in sources for note in source.notes),
        gaps=tuple(gap for source in sources for gap in source.gaps),
        template_functions=frozenset(functions),
        external_reasons=external_reasons,
    )


def _name_project(project: Project) -> str:
    if project.is_rule_source:
        return f"the folder {project.display_name}"
    return project.display_name


def _name_handler(name: str, options: Any, own: Mapping[str, Any], taken: Mapping[str, Any]) -> str:
    """Returns the name of a target among the handlers of all sources: the same target has the same name."""
    if name in own or taken.get(name, options) == options:
        return name
    return make_name(name, taken)
