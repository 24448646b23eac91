"""The routes that `evtool import` takes from a rule source, and how they get into a routes.yaml."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evtool.cli.outputs import open_atomic
from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.interchange.base import NO_TARGET, as_list, as_mapping
from evtool.interchange.eventbridge_rules import read_target
from evtool.interchange.names import make_name
from evtool.interchange.writers.routes_file import add_to_routes_file, format_routes_file
from evtool.interchange.writers.unresolved import resolve_route
from evtool.paths import display_path
from evtool.patterns.unknown import Unknown, find_unknown
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.yaml_text import load_yaml
from evtool.routes.project import Project
from evtool.routes.project_file import read_file

NO_TARGET_HANDLER = "no-target"


class Imported(NamedTuple):
    """Routes and handlers in the form of routes.yaml, with findings.

    `kept` are routes that the file has already, `extra` other keys of routes.yaml, `schemas` files that were written.
    """

    routes: dict[str, dict[str, Any]]
    handlers: dict[str, Any]
    findings: tuple[Finding, ...] = ()
    kept: tuple[str, ...] = ()
    extra: Mapping[str, Any] = {}
    schemas: tuple[str, ...] = ()


def collect_routes(project: Project, folder: Path) -> Imported:
    """The routes of a rule source, with what is unknown resolved, for a routes.yaml in a folder."""
    value = project.document.value
    routes: dict[str, dict[str, Any]] = {}
    findings: list[Finding] = []
    for name, route in value["routes"].items():
        routes[name], unknowns = resolve_route(route)
        routes[name] = {**_parse_pattern(routes[name]), "to": list(route["to"])}
        is_open = find_unknown(route["pattern"]) is not None
        findings += [_describe_unknown(project, name, unknown, is_disabled=is_open) for unknown in unknowns]
    # a note elsewhere, since such a target is seldom called there; here it is lost for good
    findings += [note._replace(severity="warning") for note in project.notes if note.route in routes]
    handlers = {name: _localize(options, folder) for name, options in value["handlers"].items()}
    return Imported(routes, handlers, tuple(findings))


def _parse_pattern(route: dict[str, Any]) -> dict[str, Any]:
    """The route with its pattern as a mapping, if the source has it as JSON text."""
    pattern = route["pattern"]
    return {**route, "pattern": parse_json(pattern.encode()) if isinstance(pattern, str) else pattern}


def _describe_unknown(project: Project, route: str, unknown: Unknown, *, is_disabled: bool) -> Finding:
    consequence = "imported without a part"
    if is_disabled:
        consequence = "imported as disabled"
    message = f"the route {route} is {consequence}: {unknown.source} is not known before deployment"
    location = project.locate(("routes", route), key=True)
    hint = None
    if is_disabled:
        hint = "write the value into the pattern and remove `state: disabled`"
    return Finding("EV024", message, "warning", route=route, suggestion=hint, **location)


def _localize(options: Any, folder: Path) -> Any:
    """The options of a handler with its folder relative to that of routes.yaml."""
    known = {key: value.source if isinstance(value, Unknown) else value for key, value in options.items()}
    if "lambda" in known:
        return {**known, "lambda": os.path.relpath(known["lambda"], folder)}
    return known


def add_target_files(imported: Imported, entries: Sequence[str]) -> Imported:
    """The routes with the targets of `--targets RULE=FILE`, and a placeholder where none is known."""
    routes, handlers = dict(imported.routes), dict(imported.handlers)
    for entry in entries:
        name, separator, file = entry.partition("=")
        if not separator or not file:
            raise UsageError(f"--targets {entry}: write RULE=FILE")
        if name not in routes:
            hint = did_you_mean(name, routes) or f"the rules are {', '.join(routes) or 'none'}"
            raise UsageError(f"--targets {entry}: there is no rule {name}; {hint}")
        for target in _read_targets(entry, Path(file)):
            handler = next(
                (key for key, value in handlers.items() if value.get("external") == target.address),
                make_name(target.name, handlers),
            )
            handlers.setdefault(handler, {"external": target.address})
            replaced = {key: value for key in ("input", "retry") if (value := getattr(target, key))}
            routes[name] = {**routes[name], **replaced, "to": list(dict.fromkeys([*routes[name]["to"], handler]))}
    for name, route in routes.items():
        if not route["to"]:
            handlers[NO_TARGET_HANDLER] = {"external": NO_TARGET}
            routes[name] = {**route, "to": [NO_TARGET_HANDLER]}
    return imported._replace(routes=routes, handlers=handlers)


def _read_targets(entry: str, file: Path) -> Any:
    try:
        value = parse_json(read_file(file))
    except JsonProblem as problem:
        raise UsageError(f"--targets {entry}: not well-formed JSON: {problem}") from None
    targets = as_mapping(value).get("Targets")
    if not isinstance(targets, list):
        raise UsageError(f"--targets {entry}: {file} has no Targets; it is not the output of list-targets-by-rule")
    return [read_target(as_mapping(target), ()) for target in as_list(targets)]


def write_routes(imported: Imported, file: Path) -> Imported:
    """Writes a new routes.yaml, or adds to one what it does not have. Returns what was written."""
    name = display_path(file)
    if not file.exists():
        sections = {"handlers": imported.handlers, "routes": imported.routes}
        text = format_routes_file({"version": 1, **imported.extra, **sections})
    else:
        raw = read_file(file)
        imported = _leave_out_existing(imported, load_yaml(raw, name).value, name)
        sections = {"buses": imported.extra.get("buses", {}), "handlers": imported.handlers, "routes": imported.routes}
        text = add_to_routes_file(raw.decode(), sections, name)
    if file.exists():
        mode = file.stat().st_mode
    else:
        mode = 0o666 & ~_read_umask()
    with open_atomic(file) as stream:
        stream.write(text)
    file.chmod(mode & 0o777)
    return imported


def _leave_out_existing(imported: Imported, value: Any, file: str) -> Imported:
    """What a routes.yaml does not have yet; a finding for each route that it has with another content."""
    if not isinstance(value, Mapping) or not all(isinstance(value.get(key) or {}, Mapping) for key in _SECTIONS):
        raise ConfigError(f"{file} cannot be used: it is not a routes.yaml")
    own_routes, own_handlers = value.get("routes") or {}, value.get("handlers") or {}
    findings = [
        Finding(
            "EV022",
            f"{file} has another route {name}; it stays as it is",
            "error",
            file=file,
            line=1,
            column=1,
            route=name,
            suggestion="rename or remove one of them",
        )
        for name, route in imported.routes.items()
        if name in own_routes and own_routes[name] != route
    ]
    routes = {name: route for name, route in imported.routes.items() if name not in own_routes}
    used = {handler for route in routes.values() for handler in route["to"]}
    handlers = {
        name: options for name, options in imported.handlers.items() if name in used and name not in own_handlers
    }
    kept = tuple(name for name in imported.routes if name in own_routes)
    own_buses = value.get("buses") or {}
    buses = {name: bus for name, bus in imported.extra.get("buses", {}).items() if name not in own_buses}
    if imported.extra.keys() <= {"buses"} or "schemas" in value:
        findings += []
    else:
        findings += [_describe_schemas(file)]
    return imported._replace(
        routes=routes,
        handlers=handlers,
        findings=(*imported.findings, *findings),
        kept=kept,
        extra={"buses": buses},
    )


def _describe_schemas(file: str) -> Finding:
    message = f"{file} has no `schemas`, so that the imported schemas are not used"
    return Finding("EV022", message, "warning", file=file, line=1, column=1, suggestion="add `schemas: schemas`")


_SECTIONS = ("routes", "handlers", "buses")


def _read_umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
