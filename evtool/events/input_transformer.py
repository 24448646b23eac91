"""Transform: what a handler gets instead of the event, as EventBridge's InputPath and InputTransformer make it.

Values are put in as the text that stands in the event, so that numbers keep the form in which they were written.
The rules are those of https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from evtool.events.envelopes import ACCOUNT, REGION
from evtool.events.event import Event
from evtool.events.timestamps import rfc3339
from evtool.findings.spelling import did_you_mean
from evtool.readers.json_text import JsonProblem, Span, parse, positions
from evtool.readers.locations import pointer_of

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html and API_InputTransformer.html
MAX_PATH, MAX_PATHS, MAX_TEMPLATE = 256, 100, 8192
NAME = r"^(?!AWS)[A-Za-z0-9_\-]{1,256}$"
JSONPATH = r"""^\$(\.[^.\[\]'"*?@()\s]+|\[[0-9]+\]|\['[^']+'\])*$"""
ONE_WAY: JsonDict = {
    "oneOf": [{"required": ["path"]}, {"required": ["template"]}],
    "dependentRequired": {"paths": ["template"]},
}
EVENT, EVENT_JSON = "aws.events.event", "aws.events.event.json"

_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\['([^']+)'\]")
_MARK = re.compile(r'\\.|"|<([^<>"]*)>', re.DOTALL)
_STRING = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*:)?', re.DOTALL)
_QUOTED_OR_SPACE = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|\s+', re.DOTALL)


def _check_path(text: str) -> str:
    if re.fullmatch(JSONPATH[1:-1], text):
        return text
    meant = [f"$.{text.removeprefix('$')}", text.replace('"', "'")]
    near = next((path for path in meant if re.fullmatch(JSONPATH[1:-1], path)), None)
    hint = f'did you mean "{near}"?' if near else "a path is $, with .name, [0] or ['name'] after it, and nothing else"
    raise PydanticCustomError("path", "{said}", {"said": "this is not a path into the event", "hint": hint})


def _check_name(name: str) -> str:
    if re.fullmatch(NAME[1:-1], name):
        return name
    may = "must not begin with AWS" if name.startswith("AWS") else 'may have letters, digits, "-" and "_", at most 256'
    raise PydanticCustomError("path name", "{said}", {"said": f'the name "{name[:40]}" {may}', "hint": None})


JsonPath = Annotated[
    str,
    Field(max_length=MAX_PATH),
    AfterValidator(_check_path),
    WithJsonSchema({"type": "string", "pattern": JSONPATH, "maxLength": MAX_PATH}),
]
PathName = Annotated[str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": NAME})]


class Input(BaseModel):
    """What the handlers of a route get instead of the event: the part at a path, or a template that is filled in."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=ONE_WAY)

    path: Annotated[JsonPath, Field(description="the part of the event that is sent, such as $.detail")] = ""
    paths: Annotated[
        dict[PathName, JsonPath],
        Field(default_factory=dict, max_length=MAX_PATHS, description="what the names in the template stand for"),
        Field(json_schema_extra={"additionalProperties": False}),
    ]
    template: Annotated[
        str, Field(min_length=1, max_length=MAX_TEMPLATE, description="JSON, or a string in quotes, with <name> in it")
    ] = ""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        given = self.model_fields_set
        if "path" in given and len(given) > 1:
            raise ValueError("only one of path (InputPath) and template (InputTransformer) must be provided")
        if not {"path", "template"} & given:
            raise ValueError("template is missing" if given else "path or template is missing")
        return self


class Hole(NamedTuple):
    """A placeholder of a template, and whether it stands inside quotes."""

    name: str
    quoted: bool


Parts = Sequence[str | Hole]
Steps = tuple[str | int, ...]


class Transform(NamedTuple):
    """An Input, compiled: the steps of its path or paths, and the lines of its template, which is JSON or text."""

    path: str
    steps: Mapping[str, Steps]
    is_text: bool = False
    lines: Sequence[Parts] = ()


def _parts(text: str) -> list[str | Hole]:
    parts: list[str | Hole] = []
    at, quoted = 0, False
    for mark in _MARK.finditer(text):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[1] is not None:
            parts += text[at : mark.start()], Hole(mark[1], quoted)
            at = mark.end()
    return [*parts, text[at:]]


def _filled(parts: Parts, fill: Callable[[Hole], str]) -> str:
    return "".join(part if isinstance(part, str) else fill(part) for part in parts)


def _sample(parts: Parts) -> Any:
    """The value of a template with an array in every hole, as long as the placeholder. Raises JsonProblem."""
    return parse(_filled(parts, lambda hole: f"[{' ' * len(hole.name)}]").encode())


def _read(template: str) -> tuple[bool, Sequence[Parts]]:
    """Whether a template is text or JSON, and its lines. Raises JsonProblem for what is neither."""
    lines = [_parts(line) for line in template.split("\n") if line.strip()]
    with suppress(JsonProblem):
        if lines and all(isinstance(_sample(line), str) for line in lines):
            return True, lines
    whole = _parts(template)
    _sample(whole)
    return False, [whole]


@lru_cache(maxsize=1)  # the placeholders of a template ask for the places of the same event
def _spans(raw: bytes) -> dict[str, Span]:
    return positions(raw)


def _at(event: Event, steps: Steps) -> str | None:
    """The JSON text of the value that a path leads to, or None where there is none."""
    value: Any = event.document
    for step in steps:
        is_element = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not is_element and not (isinstance(value, dict) and step in value):
            return None
        value = value[step]
    if not steps:
        return event.raw.decode().strip()
    span = _spans(event.raw)[pointer_of(steps)]
    return event.raw[span.start : span.end].decode()


def _envelope(event: Event) -> str:
    """The event without its payload, under the names that AWS gives it."""
    names = {key: "detailType" if key == "detail-type" else key for key in event.document if key != event.payload}
    return "{" + ", ".join(f"{json.dumps(name)}: {_at(event, (key,))}" for key, name in names.items()) + "}"


def _without_quotes(text: str) -> str:
    """An object or array as it is printed into a text."""
    compact = _QUOTED_OR_SPACE.sub(lambda found: found[1] or "", text)
    return re.sub(r'(\\[^"])|\\"', lambda escaped: escaped[1] or "", compact)


def _put(hole: Hole, text: str | None, *, is_text: bool) -> str:
    """What stands in the place of a placeholder whose value has a JSON text, or is not in the event."""
    if text is None:
        return "" if hole.quoted else '""'
    if not hole.quoted:
        return text
    if text[0] not in "{[":
        return str(json.loads(text)) if text[0] == '"' else text
    if not is_text:
        kind = "an object" if text[0] == "{" else "an array"
        raise ValueError(f"<{hole.name}> is {kind}, and stands in quotes in a JSON template")
    return _without_quotes(text)


PREDEFINED: dict[str, Callable[[Event, str, int], str]] = {  # each of the event, its route, and when it came
    "aws.events.rule-arn": lambda _, route, __: json.dumps(f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{route}"),
    "aws.events.rule-name": lambda _, route, __: json.dumps(route),
    "aws.events.event.ingestion-time": lambda _, __, received: json.dumps(f"{rfc3339(received)[:19]}Z"),
    EVENT: lambda event, _, __: _envelope(event),
    EVENT_JSON: lambda event, _, __: event.raw.decode().strip(),
}


def problems(names: Iterable[str], template: str) -> Iterator[tuple[str, str | None]]:
    """What is wrong with a template beside its shape: a sentence each, in AWS's words where it has some, and a hint."""
    known = [*names, *PREDEFINED]
    holes = [part for part in _parts(template) if isinstance(part, Hole)]
    for name in dict.fromkeys(hole.name for hole in holes if hole.name not in known):
        hint = did_you_mean(name, known) or f"known here: {', '.join(known)}"
        yield f"InputTemplate contains invalid placeholder {name[:80]}", hint
    for name in dict.fromkeys(hole.name for hole in holes if hole.quoted and hole.name in (EVENT, EVENT_JSON)):
        yield f"<{name}> can only be a whole JSON value, not part of a string", f'as in {{"event": <{name}>}}'
    try:
        is_text, _ = _read(template)
    except JsonProblem as problem:
        where = f"line {problem.line}, column {problem.column} of it"
        yield f"the template is neither JSON nor a string in double quotes: {problem} ({where})", problem.hint
        return
    if not is_text and any(colon and len(_parts(key)) > 1 for key, colon in _STRING.findall(template)):
        yield "a placeholder cannot be the key of an object", None


def compiled(given: Input | None) -> Transform | None:
    """What routes.yaml says of an input, compiled. Raises JsonProblem for a template that has `problems`."""
    if given is None:
        return None
    paths = {"": given.path} if given.path else given.paths
    steps = {
        name: tuple(int(index) if index else key or quoted for key, index, quoted in _STEP.findall(path))
        for name, path in paths.items()
    }
    return Transform(given.path, steps, *(_read(given.template) if given.template else ()))


def transformed(transform: Transform, event: Event, *, route: str, received: int) -> bytes:
    """The JSON text that a handler gets instead of the event; `received` is when evtool got it, in milliseconds.

    Raises ValueError with the reason where EventBridge delivers nothing.
    """
    if not transform.lines:
        part = _at(event, transform.steps[""])
        if part is None:
            raise ValueError(f"there is no {transform.path} in the event")
        return part.encode()

    def fill(hole: Hole) -> str:
        steps = transform.steps.get(hole.name)
        text = PREDEFINED[hole.name](event, route, received) if steps is None else _at(event, steps)
        return _put(hole, text, is_text=transform.is_text)

    made = [_filled(line, fill).strip() for line in transform.lines]
    try:
        values = [parse(line.encode(), max_depth=1000) for line in made]
    except JsonProblem as problem:
        why = "values are put into quotes as they are, without escapes"
        raise ValueError(f"filled in, the template is not JSON: {problem} (column {problem.column}); {why}") from None
    return json.dumps("\n".join(values), ensure_ascii=False).encode() if transform.is_text else made[0].encode()
