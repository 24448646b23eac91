"""Collects the routes of a rule source for `evtool import`, and writes them into a routes.yaml.

For example, the CloudFormation rule

    OnOrder: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [shop]}, Targets: [{Arn: !GetAtt Pay.Arn}]}}

becomes the route `OnOrder: {pattern: {source: [shop]}, to: [pay]}` and the handler `pay: {external: Pay.Arn}`. A rule
whose pattern contains `!Ref Name` becomes a route with `state: disabled`, and a finding names the unknown value.
"""

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

# routes.yaml requires a handler for each route, but a rule may have no target.
NO_TARGET_HANDLER = "no-target"
# The parts of routes.yaml that --merge adds to.
SECTIONS = ("routes", "handlers", "buses")


class Imported(NamedTuple):
    """Routes and handlers in the form of routes.yaml, with findings.

    `kept` names routes that the file has already, `extra` has other keys of routes.yaml, `schemas` names written files.
    """

    routes: dict[str, dict[str, Any]]
    handlers: dict[str, Any]
    findings: tuple[Finding, ...] = ()
    kept: tuple[str, ...] = ()
    extra: Mapping[str, Any] = {}
    schemas: tuple[str, ...] = ()


def collect_routes(project: Project, folder: Path) -> Imported:
    """Collects the routes and handlers of a rule source, for a routes.yaml in a folder. Unknown values are resolved."""
    value = project.document.value
    routes: dict[str, dict[str, Any]] = {}
    findings: list[Finding] = []
    for name, route in value["routes"].items():
        resolved, unknowns = resolve_route(route)
        routes[name] = resolved | {"pattern": _parse_pattern(resolved["pattern"]), "to": list(route["to"])}
        is_disabled = find_unknown(route["pattern"]) is not None
        for unknown in unknowns:
            findings.append(_describe_unknown(project, name, unknown, is_disabled=is_disabled))
    # Other commands show these as notes: the rule source still has its targets. A written routes.yaml has lost them.
    findings += [note._replace(severity="warning") for note in project.notes if note.route in routes]
    handlers = {name: _localize(options, folder) for name, options in value["handlers"].items()}
    return Imported(routes, handlers, tuple(findings))


def _parse_pattern(pattern: Any) -> Any:
    """Returns a pattern as a mapping, also if the source has it as JSON text, as Terraform and the AWS CLI have it."""
    if isinstance(pattern, str):
        return parse_json(pattern.encode())
    return pattern


def _describe_unknown(project: Project, route: str, unknown: Unknown, *, is_disabled: bool) -> Finding:
    consequence, hint = "imported without a part", None
    if is_disabled:
        consequence = "imported as disabled"
        hint = "write the value into the pattern and remove `state: disabled`"
    message = f"the route {route} is {consequence}: {unknown.source} is not known before deployment"
    location = project.locate(("routes", route), key=True)
    return Finding("EV024", message, "warning", route=route, suggestion=hint, **location)


def _localize(options: Any, folder: Path) -> Any:
    """Returns the options of a handler. The folder of a Lambda function becomes relative to that of routes.yaml."""
    known = {}
    for key, value in options.items():
        known[key] = value
        # The text of the template, such as `Ref Bucket`, is better than nothing.
        if isinstance(value, Unknown):
            known[key] = value.source
    if "lambda" in known:
        known["lambda"] = os.path.relpath(known["lambda"], folder)
    return known


def add_target_files(imported: Imported, entries: Sequence[str]) -> Imported:
    """Adds the targets of `--targets RULE=FILE`, and a placeholder where a route has none. Raises UsageError."""
    routes, handlers = dict(imported.routes), dict(imported.handlers)
    for entry in entries:
        name, separator, file = entry.partition("=")
        if not separator or not file:
            raise UsageError(f"--targets {entry}: write RULE=FILE")
        if name not in routes:
            hint = did_you_mean(name, routes) or f"the rules are {', '.join(routes) or 'none'}"
            raise UsageError(f"--targets {entry}: there is no rule {name}; {hint}")
        for target in _read_targets(entry, Path(file)):
            routes[name] = _add_target(routes[name], handlers, target)
    for name, route in routes.items():
        if not route["to"]:
            handlers[NO_TARGET_HANDLER] = {"external": NO_TARGET}
            routes[name] = route | {"to": [NO_TARGET_HANDLER]}
    return imported._replace(routes=routes, handlers=handlers)


def _add_target(route: dict[str, Any], handlers: dict[str, Any], target: Any) -> dict[str, Any]:
    """Returns the route with a target. Adds the handler of the target, unless another rule has it already."""
    handler = _find_handler(handlers, target.address)
    if handler is None:
        handler = make_name(target.name, handlers)
        handlers[handler] = {"external": target.address}
    changed = dict(route)
    for key in ("input", "retry"):
        value = getattr(target, key)
        if value:
            changed[key] = value
    # A rule may name the same target twice, but a route delivers to a handler once.
    changed["to"] = list(dict.fromkeys(route["to"] + [handler]))
    return changed


def _find_handler(handlers: Mapping[str, Any], address: str) -> str | None:
    for name, options in handlers.items():
        if options.get("external") == address:
            return name
    return None


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
    """Writes a new routes.yaml, or adds the missing entries to a file. Returns the written entries."""
    name = display_path(file)
    if file.exists():
        mode = file.stat().st_mode
        raw = read_file(file)
        imported = _leave_out_existing(imported, load_yaml(raw, name).value, name)
        sections = {"buses": imported.extra.get("buses", {}), "handlers": imported.handlers, "routes": imported.routes}
        text = add_to_routes_file(raw.decode(), sections, name)
    else:
        mode = 0o666 & ~_read_umask()
        sections = {"handlers": imported.handlers, "routes": imported.routes}
        text = format_routes_file({"version": 1, **imported.extra, **sections})
    with open_atomic(file) as stream:
        stream.write(text)
    # Only the owner may read a report, but a routes.yaml gets the same permissions as any new file of the user.
    file.chmod(mode & 0o777)
    return imported


def _leave_out_existing(imported: Imported, value: Any, file: str) -> Imported:
    """Removes what a routes.yaml has already. Adds a finding for each route that it has with another content."""
    if not isinstance(value, Mapping) or not all(isinstance(value.get(key) or {}, Mapping) for key in SECTIONS):
        raise ConfigError(f"{file} cannot be used: it is not a routes.yaml")
    own_routes = value.get("routes") or {}
    findings = list(imported.findings)
    kept = []
    routes: dict[str, dict[str, Any]] = {}
    # A handler is needed only by a route that is added.
    used_handlers: set[str] = set()
    for name, route in imported.routes.items():
        if name not in own_routes:
            routes[name] = route
            used_handlers.update(route["to"])
            continue
        kept.append(name)
        if own_routes[name] != route:
            findings.append(_describe_other_route(file, name))
    needed = {name: imported.handlers[name] for name in imported.handlers if name in used_handlers}
    buses = _without_keys(imported.extra.get("buses", {}), value.get("buses") or {})
    if "schemas" in imported.extra and "schemas" not in value:
        findings.append(_describe_schemas(file))
    return imported._replace(
        routes=routes,
        handlers=_without_keys(needed, value.get("handlers") or {}),
        findings=tuple(findings),
        kept=tuple(kept),
        extra={"buses": buses},
    )


def _without_keys(entries: Mapping[str, Any], existing: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if name not in existing}


def _describe_other_route(file: str, name: str) -> Finding:
    message = f"{file} has another route {name}, which was not changed"
    hint = "rename or remove one of them"
    return Finding("EV022", message, "error", file=file, line=1, column=1, route=name, suggestion=hint)


def _describe_schemas(file: str) -> Finding:
    message = f"{file} has no `schemas`, so that the imported schemas are not used"
    return Finding("EV022", message, "warning", file=file, line=1, column=1, suggestion="add `schemas: schemas`")


def _read_umask() -> int:
    # The system returns the old mask only when a new one is set.
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
