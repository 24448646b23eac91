"""Routes: routes.yaml as typed values, everything wrong with it told at once, and which routes an event takes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetCoreSchemaHandler, Tag, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from evtool.delivery.retry import Retry
from evtool.errors import ConfigError, UsageError
from evtool.events.input_transformer import Input, Transform, compiled, problems
from evtool.findings.finding import Finding, did_you_mean
from evtool.handlers.base import Handler, HandlerOptions
from evtool.handlers.registry import KINDS
from evtool.patterns.pattern import Pattern, PatternError
from evtool.readers.files import Piece
from evtool.readers.locations import located, pointer_of
from evtool.routes import project as projects
from evtool.routes.garbage import uncollected
from evtool.routes.project import Project
from evtool.routes.router import Router

# --- the models: what routes.yaml may say ----------------------------------------------------------------------------


def _kind_of(value: Any) -> str | None:
    """The tag of a handler's kind: the one key that names a kind."""
    named = [kind for kind in KINDS if isinstance(value, Mapping) and kind in value]
    return f"kind {named[0]}" if len(named) == 1 else None


class _ByKind:
    """Lets pydantic choose a handler's model by the key that names its kind."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {f"kind {name}": handler.generate_schema(kind.options) for name, kind in KINDS.items()}
        return core_schema.tagged_union_schema(choices, discriminator=_kind_of)


Name = Annotated[str, Field(pattern=r"^[.\-_A-Za-z0-9]{1,64}$")]  # as EventBridge names rules
Paths = Annotated[
    Annotated[str, Tag("one")] | Annotated[list[str], Field(min_length=1), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list) else "one"),
]
NAMES_ONLY = {"additionalProperties": False}  # else the exported JSON Schema lets other names through

# what pydantic finds -> what it is called here; the rest is told in pydantic's words
MESSAGES = {
    "dict_type": "should be a mapping",
    "greater_than_equal": "should be at least {ge}",
    "int_type": "should be a whole number",
    "less_than_equal": "should be at most {le}",
    "list_type": "should be a list",
    "literal_error": "should be {expected}",
    "model_type": "should be a mapping",
    "string_pattern_mismatch": "should match {pattern}",
    "path": "{said}",
    "string_too_long": "should have at most {max_length} characters",
    "string_too_short": "should not be empty",
    "string_type": "should be a text",
    "too_long": "should have at most {max_length} entries",
    "too_short": "should not be empty",
}


class RouteModel(BaseModel):
    """A route: a named pattern and the handlers it goes to."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Route")

    description: str = ""
    pattern: Annotated[dict[str, Any], Field(description="an EventBridge event pattern")]
    to: Annotated[list[str], Field(min_length=1, description="names of handlers")]
    retry: Retry = Retry()
    input: Annotated[Input | None, Field(description="what the handlers get instead of the event")] = None
    state: Literal["enabled", "disabled"] = "enabled"


class RoutesModel(BaseModel):
    """routes.yaml: the project file of evtool."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="routes.yaml")

    version: Literal[1]
    schemas: Annotated[Paths | None, Field(description="folder(s) of JSON Schemas, TYPE.json each")] = None
    samples: Annotated[Paths | None, Field(description="sample events: files or folders")] = None
    store: Annotated[str, Field(description="the store's file")] = projects.STORE_FILE
    handlers: Annotated[
        dict[Name, Annotated[HandlerOptions, _ByKind()]], Field(default_factory=dict, json_schema_extra=NAMES_ONLY)
    ]
    routes: Annotated[dict[Name, RouteModel], Field(default_factory=dict, json_schema_extra=NAMES_ONLY)]


# --- the values that the rest of evtool works with -------------------------------------------------------------------


class Route(NamedTuple):
    """A route, compiled."""

    name: str
    pattern: Pattern
    to: tuple[str, ...]
    retry: Retry = Retry()
    enabled: bool = True
    description: str = ""
    input: Transform | None = None


class HandlerEntry(NamedTuple):
    """A handler of routes.yaml: its kind, its options, and the folder that its paths count from."""

    name: str
    kind: str
    options: HandlerOptions
    folder: Path

    def open(self) -> Handler:
        """The handler, ready to be called; the caller closes it."""
        return KINDS[self.kind].open(self.name, self.options, self.folder)


class Routes:
    """The routes and handlers of one routes.yaml."""

    def __init__(self, routes: Sequence[Route], handlers: Mapping[str, HandlerEntry] | None = None):
        self.routes = {route.name: route for route in routes}
        self.handlers = dict(handlers or {})
        self._enabled = [route for route in routes if route.enabled]
        self._router = Router([route.pattern for route in self._enabled])

    @classmethod
    def load(cls, file: str | Path = projects.ROUTES_FILE) -> "Routes":
        """The routes of a file. Raises ConfigError, whose findings say everything that is wrong and where."""
        return of_project(projects.need(str(file)))

    def match(self, event: Mapping[str, Any] | str | bytes) -> list[Route]:
        """The enabled routes that take an event, in the order of the file. JSON text keeps what a dict loses."""
        return [self._enabled[number] for number in self._router.match(event)]

    def match_checked(self, event: bytes | str) -> list[Route]:
        """The same for text that is known to be well-formed and to have no key twice, and many times as fast."""
        return [self._enabled[number] for number in self._router.match_checked(event)]

    def only(self, name: str) -> "Routes":
        """The same handlers with one route. Raises UsageError when there is no such route."""
        if name not in self.routes:
            hint = did_you_mean(name, self.routes) or f"the routes are {', '.join(self.routes) or 'none'}"
            raise UsageError(f"there is no route {name}; {hint}")
        return Routes([self.routes[name]], self.handlers)


@uncollected()
def of_project(project: Project) -> Routes:
    """The routes of a project. Raises ConfigError, whose findings say everything that is wrong and where."""
    raw = project.document.value
    findings: list[Finding] = []
    try:
        model = RoutesModel.model_validate(raw)
    except ValidationError as error:
        model = None
        findings += [_shape_finding(project, detail) for detail in error.errors()]
    patterns: dict[str, Pattern] = {}
    for name, route in _mapping(raw.get("routes")).items():
        findings += _pattern_findings(project, name, route, patterns)
        findings += _missing_handlers(project, name, route)
        findings += _template_findings(project, name, _mapping(_mapping(route).get("input")))
    if model is None or findings:
        findings.sort(key=lambda f: (f.line or 0, f.column or 0))
        raise ConfigError(f"{project.shown} cannot be used", findings)
    return Routes(
        [
            Route(name, patterns[name], tuple(r.to), r.retry, r.state == "enabled", r.description, compiled(r.input))
            for name, r in model.routes.items()
        ],
        {
            name: HandlerEntry(
                name, str(_kind_of(raw["handlers"][name])).removeprefix("kind "), options, project.folder
            )
            for name, options in model.handlers.items()
        },
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _finding(
    project: Project, code: str, message: str, path: Sequence[str | int], *, key: bool = False, **more: Any
) -> Finding:
    width = len(str(path[-1])) if key and path else 1
    where = located(Piece(project.shown, 1, 1, project.text), *project.document.place(path, key=key), width)
    return Finding(code, message, pointer=pointer_of(path), **where, **more)


def _path(detail: ErrorDetails) -> list[str | int]:
    """Where in routes.yaml pydantic found something: without the tags of alternatives, and the `[key]` of a name."""
    match detail["loc"]:
        case ("schemas" | "samples" as key, _, *rest):
            return [key, *rest]
        case (*path, "[key]") if detail["type"] in ("string_pattern_mismatch", "path name"):
            return list(path)
        case ("handlers", name, _, *rest):
            return ["handlers", name, *rest]
    return list(detail["loc"])


def _shape_finding(project: Project, detail: ErrorDetails) -> Finding:
    path, kind = _path(detail), detail["type"]
    known = _known_keys(path[:-1], project.document.value)
    named = ".".join(str(step) for step in path)
    route = str(path[1]) if len(path) > 1 and path[0] == "routes" else None
    match kind:
        case "extra_forbidden":
            hint = did_you_mean(path[-1], known) or f"known here: {', '.join(known)}"
            return _finding(project, "EV021", f"unknown key {named}", path, key=True, suggestion=hint, route=route)
        case "missing":
            return _finding(project, "EV022", f"{named} is missing", path[:-1], route=route)
        case "union_tag_not_found":
            meant = next((h for key in _mapping(detail["input"]) if (h := did_you_mean(key, KINDS))), None)
            return _finding(project, "EV022", *_no_kind(path, detail["input"]), suggestion=meant)
        case "string_pattern_mismatch" if detail["loc"][-1] == "[key]":
            message = f'the name "{path[-1]}" may have letters, digits, ".", "-" and "_", at most 64'
            return _finding(project, "EV022", message, path, key=True, route=route)
        case "path name":
            return _finding(project, "EV022", f"{named}: {detail['msg']}", path, key=True, route=route)
    told = detail["msg"].removeprefix("Value error, ")
    message = MESSAGES.get(kind, told[0].lower() + told[1:]).format(**detail.get("ctx", {}))
    return _finding(project, "EV022", f"{named}: {message}", path, suggestion=_instead(detail), route=route)


def _instead(detail: ErrorDetails) -> str | None:
    """What may have been meant by a value."""
    if detail["type"] == "path":
        return str(detail["ctx"]["hint"])
    if detail["type"] == "literal_error":
        return did_you_mean(detail["input"], re.findall("'([^']*)'", detail["ctx"]["expected"]))
    scalar = isinstance(detail["input"], int | float)
    return "put it in quotes" if detail["type"] == "string_type" and scalar else None


def _no_kind(path: Sequence[str | int], value: Any) -> tuple[str, Sequence[str | int]]:
    named = [kind for kind in KINDS if isinstance(value, Mapping) and kind in value]
    kinds = ", ".join(KINDS)
    if named:
        return f"handler {path[-1]} has several kinds: {', '.join(named)}; choose one", path
    return f"handler {path[-1]} names no kind of handler that is known: {kinds}", path


def _known_keys(path: Sequence[str | int], raw: Mapping[str, Any]) -> list[str]:
    """The keys that may stand at a place in routes.yaml."""
    match list(path):
        case []:
            return list(RoutesModel.model_fields)
        case ["routes", _]:
            return list(RouteModel.model_fields)
        case ["routes", _, "retry"]:
            return list(Retry.model_fields)
        case ["routes", _, "input"]:
            return list(Input.model_fields)
        case ["handlers", name]:
            kind = _kind_of(_mapping(raw.get("handlers")).get(str(name)))
            return list(KINDS[kind.removeprefix("kind ")].options.model_fields) if kind else []
    return []


def _pattern_findings(project: Project, name: str, route: Any, patterns: dict[str, Pattern]) -> Iterator[Finding]:
    pattern = _mapping(route).get("pattern")
    if not isinstance(pattern, dict):
        return  # its shape is wrong, which the model says
    try:
        patterns[name] = Pattern(pattern)
    except PatternError as error:
        for problem in error.problems:
            path, message = ("routes", name, "pattern", *problem.path), f"route {name}: {problem.message}"
            at_key = problem.code == "EV202"  # the key names an operator that there is not
            more = {"suggestion": problem.hint, "route": name}
            yield _finding(project, problem.code, message, path, key=at_key, **more)


def _template_findings(project: Project, name: str, given: Mapping[str, Any]) -> Iterator[Finding]:
    template, paths = given.get("template"), _mapping(given.get("paths"))
    if isinstance(template, str) and template:  # else its shape is wrong, which the model says
        for message, hint in problems(paths, template):
            where = ("routes", name, "input", "template")
            yield _finding(project, "EV022", f"route {name}: {message}", where, suggestion=hint, route=name)


def _missing_handlers(project: Project, name: str, route: Any) -> Iterator[Finding]:
    handlers = list(_mapping(project.document.value.get("handlers")))
    to = _mapping(route).get("to")
    for index, handler in enumerate(to if isinstance(to, list) else []):
        if isinstance(handler, str) and handler not in handlers:
            message = f'route {name} goes to the handler "{handler}", which is not there'
            hint = did_you_mean(handler, handlers)
            path = ("routes", name, "to", index)
            yield _finding(project, "EV403", message, path, suggestion=hint, route=name)
