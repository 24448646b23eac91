"""Translates the rules of a source into a project: the shape of routes.yaml with the locations of the source.

All checks work on the shape of routes.yaml, and their findings have to name a place in the source. So each translated
part keeps its path in the source. A template with the rule `Paid` gives

    value      {"routes": {"Paid": {"pattern": {"source": ["shop"]}, "to": ["queue"]}}, ...}
    origins    ("routes", "Paid")             -> ("Resources", "Paid")
               ("routes", "Paid", "pattern")  -> ("Resources", "Paid", "Properties", "EventPattern")

A finding at ("routes", "Paid", "pattern", "source", 0) belongs to the longest origin that is its beginning, followed
by the rest: ("Resources", "Paid", "Properties", "EventPattern", "source", 0).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.interchange.base import Path, Rule, Source, Target, as_item
from evtool.interchange.cloudformation.sam_functions import find_code
from evtool.interchange.names import make_name
from evtool.patterns.unknown import Unknown
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.locations import locate, pointer_of
from evtool.routes.project_file import LocatedDocument, PatternSource, Project


class TranslatedDocument:
    """The routes and handlers of a source in the shape of routes.yaml.

    `origins` leads from paths in this shape to paths in the source; what is below a path is below its origin, too.
    """

    def __init__(self, value: dict[str, Any], source: LocatedDocument, origins: dict[Path, Path]):
        self.value = value
        self.source = source
        self._origins = origins

    def source_path(self, path: Sequence[str | int]) -> Path:
        """Returns the keys and indices that lead in the source to what a path into the value leads to."""
        steps = tuple(path)
        for length in range(len(steps), -1, -1):
            if steps[:length] in self._origins:
                return self._origins[steps[:length]] + steps[length:]
        return ()

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of what a path into the value leads to, or of its key."""
        return self.source.position_of(self.source_path(path), key=key)


class _Builder:
    """Collects the routes and handlers of a source."""

    def __init__(self, source: Source, file: FilePath):
        self.source = source
        self.file = file
        self.routes: dict[str, dict[str, Any]] = {}
        self.handlers: dict[str, dict[str, Any]] = {}
        self.external_reasons: dict[str, str] = {}
        self.origins: dict[Path, Path] = {}
        self.pattern_sources: dict[str, PatternSource] = {}
        self.findings: list[Finding] = []
        self.gaps: list[Finding] = []
        # The names of handlers by addresses: the same resource in several rules is one handler.
        self._handler_of: dict[str, str] = {}

    def add(self, rule: Rule) -> None:
        if rule.note is not None:
            self._report(rule, "note", f"{rule.name} {rule.note}")
            if rule.is_gap:
                self.gaps.append(self.findings.pop())
            return
        if rule.pattern is None:
            self._report(rule, "error", f"rule {rule.name} has neither an event pattern nor a schedule")
            return
        name = make_name(rule.name, self.routes)
        path: Path = ("routes", name)
        route: dict[str, Any] = {"pattern": rule.pattern, "to": self._add_handlers(rule)}
        self.origins[path] = rule.path
        origin = rule.paths.get("pattern", rule.path)
        self.origins["routes", name, "pattern"] = origin
        pattern_source = _find_pattern_source(self.source.document.value, origin)
        if pattern_source:
            self.pattern_sources[name] = pattern_source
        if not isinstance(rule.pattern, str | dict | Unknown):
            self._report(rule, "error", f"rule {rule.name}: the event pattern is not an object", "pattern")
            return
        if rule.bus is not None:
            route["event-bus"] = rule.bus
            self.origins["routes", name, "event-bus"] = rule.paths.get("bus", rule.path)
        if rule.description:
            route["description"] = rule.description
        if rule.state != "enabled":
            route["state"] = rule.state
            self.origins["routes", name, "state"] = rule.paths.get("state", rule.path)
        self._add_settings(rule, name, route)
        self.routes[name] = route

    def _add_settings(self, rule: Rule, name: str, route: dict[str, Any]) -> None:
        """Adds to a route what all targets of its rule have in common."""
        for key in ("retry", "input"):
            values = [getattr(target, key) for target in rule.targets]
            # A route has one input and one retry for all of its handlers.
            if values and values[0] and values.count(values[0]) == len(values):
                route[key] = values[0]
                self.origins["routes", name, key] = rule.targets[0].input_path
            elif any(values):
                what = {"retry": "retry policies", "input": "inputs"}[key]
                message = f"the targets of {name} have different {what}; a route has one for all, so they are left out"
                self._report(rule._replace(name=name), "note", message)

    def _add_handlers(self, rule: Rule) -> list[str]:
        # Two targets of a rule may be the same resource with two Ids.
        return list(dict.fromkeys(map(self._add_handler, rule.targets)))

    def _add_handler(self, target: Target) -> str:
        if target.address not in self._handler_of:
            name = make_name(target.name, self.handlers)
            self.handlers[name] = self._read_function(name, target) or {"external": target.address}
            self.origins["handlers", name] = target.path
            self._handler_of[target.address] = name
        return self._handler_of[target.address]

    def _read_function(self, handler: str, target: Target) -> dict[str, Any] | None:
        """Returns the options of a handler that runs a function whose code is here; None if there is none."""
        if target.function is None:
            return None
        if target.function.problem:
            self.external_reasons[handler] = target.function.problem
            return None
        code = find_code(self.file, target.function)
        if code is None:
            self.external_reasons[handler] = f"there is no folder {target.function.options['lambda']}: correct CodeUri"
            return None
        for note in target.function.notes:
            location = self._locate(target.path)
            self.findings.append(Finding("EV023", note, "note", **location))
        return {**target.function.options, "lambda": str(code)}

    def _report(self, rule: Rule, severity: str, message: str, part: str = "") -> None:
        location = self._locate(rule.paths.get(part, rule.path))
        self.findings.append(Finding("EV023", message, severity, route=rule.name, **location))

    def _locate(self, path: Path) -> dict[str, Any]:
        text = SourceText(self.source.file, 1, 1, self.source.text)
        width = 1
        if path:
            width = len(str(path[-1]))
        location = locate(text, *self.source.document.position_of(path, key=True), width)
        return {"pointer": pointer_of(path), **location}


def _find_pattern_source(document: Any, path: Path) -> PatternSource | None:
    """Returns the JSON text at a path of a document, also as the argument of `Fn::Sub`; None if there is none."""
    value = document
    for step in path:
        value = as_item(value, step)
    steps: list[str | int] = []
    for step in ("Fn::Sub", 0):
        inner = as_item(value, step)
        if inner is not None:
            steps.append(step)
            value = inner
    if not isinstance(value, str):
        return None
    try:
        parse_json(value.encode(errors="surrogatepass"))
    except JsonProblem:
        # It is an expression that makes the pattern, or it has a variable outside of strings.
        return None
    return PatternSource(value, tuple(steps))


def translate(source: Source, rules: Iterator[Rule], file: FilePath, form: str) -> Project:
    """Returns the project that the rules of a source make.

    Raises ConfigError with every rule that cannot be a route.
    """
    builder = _Builder(source, file)
    for rule in rules:
        builder.add(rule)
    errors = [finding for finding in builder.findings if finding.severity == "error"]
    if errors:
        raise ConfigError(f"{source.file} cannot be used", errors)
    value = {"version": 1, "handlers": builder.handlers, "routes": builder.routes}
    document = TranslatedDocument(value, source.document, builder.origins)
    functions = frozenset(name for name, options in builder.handlers.items() if "lambda" in options)
    return Project(
        file,
        document,
        source.text,
        form,
        template_functions=functions,
        external_reasons=builder.external_reasons,
        notes=tuple(builder.findings),
        gaps=tuple(builder.gaps),
        pattern_sources=builder.pattern_sources,
    )
