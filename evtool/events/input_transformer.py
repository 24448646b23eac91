"""Transforms an event into the input of a handler, as EventBridge's InputPath and InputTransformer do.

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
from evtool.events.timestamps import format_timestamp
from evtool.findings.spelling import did_you_mean
from evtool.readers.json_text import JsonProblem, Span, find_spans, parse_json
from evtool.readers.locations import pointer_of

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html and API_InputTransformer.html
MAX_PATH, MAX_PATHS, MAX_TEMPLATE = 256, 100, 8192
NAME = r"^(?!AWS)[A-Za-z0-9_\-]{1,256}$"
JSONPATH = r"""^\$(\.[^.\[\]'"*?@()\s]+|\[[0-9]+\]|\['[^']+'\])*$"""
EXACTLY_ONE_FORM: JsonDict = {
    "oneOf": [{"required": ["path"]}, {"required": ["template"]}],
    "dependentRequired": {"paths": ["template"]},
}
EVENT, EVENT_JSON = "aws.events.event", "aws.events.event.json"

_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\['([^']+)'\]")
_QUOTE_OR_PLACEHOLDER = re.compile(r'\\.|"|<([^<>"]*)>', re.DOTALL)
_STRING = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*:)?', re.DOTALL)
_QUOTED_OR_SPACE = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|\s+', re.DOTALL)


def _check_path(text: str) -> str:
    if re.fullmatch(JSONPATH[1:-1], text):
        return text
    candidates = [f"$.{text.removeprefix('$')}", text.replace('"', "'")]
    suggestion = next((path for path in candidates if re.fullmatch(JSONPATH[1:-1], path)), None)
    hint = "a path is $, with .name, [0] or ['name'] after it, and nothing else"
    if suggestion:
        hint = f'did you mean "{suggestion}"?'
    raise PydanticCustomError("path", "{said}", {"said": "this is not a path into the event", "hint": hint})


def _check_name(name: str) -> str:
    if re.fullmatch(NAME[1:-1], name):
        return name
    rule = 'may have letters, digits, "-" and "_", at most 256'
    if name.startswith("AWS"):
        rule = "must not begin with AWS"
    raise PydanticCustomError("path name", "{said}", {"said": f'the name "{name[:40]}" {rule}', "hint": None})


JsonPath = Annotated[
    str,
    Field(max_length=MAX_PATH),
    AfterValidator(_check_path),
    WithJsonSchema({"type": "string", "pattern": JSONPATH, "maxLength": MAX_PATH}),
]
PathName = Annotated[str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": NAME})]


class Input(BaseModel):
    """What the handlers of a route get instead of the event: the part at a path, or a template that is filled in."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=EXACTLY_ONE_FORM)

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
    def _check_one_form(self) -> Self:
        keys = self.model_fields_set
        if "path" in keys and len(keys) > 1:
            raise ValueError("only one of path (InputPath) and template (InputTransformer) must be provided")
        if not {"path", "template"} & keys:
            raise ValueError("template is missing" if keys else "path or template is missing")
        return self


class Placeholder(NamedTuple):
    """A placeholder of a template, and whether it stands inside quotes."""

    name: str
    is_quoted: bool


Parts = Sequence[str | Placeholder]
Steps = tuple[str | int, ...]


class CompiledInput(NamedTuple):
    """An Input, compiled: the steps of its path or paths, and the lines of its template, which is JSON or text."""

    path: str
    steps: Mapping[str, Steps]
    is_text: bool = False
    lines: Sequence[Parts] = ()


def _split_template(text: str) -> list[str | Placeholder]:
    parts: list[str | Placeholder] = []
    position, in_quotes = 0, False
    for match in _QUOTE_OR_PLACEHOLDER.finditer(text):
        if match[0] == '"':
            in_quotes = not in_quotes
        elif match[1] is not None:
            parts += text[position : match.start()], Placeholder(match[1], in_quotes)
            position = match.end()
    return [*parts, text[position:]]


def _fill(parts: Parts, value_of: Callable[[Placeholder], str]) -> str:
    return "".join(part if isinstance(part, str) else value_of(part) for part in parts)


def _parse_sample(parts: Parts) -> Any:
    """The value of a template with an array in every placeholder, as long as the placeholder. Raises JsonProblem."""
    return parse_json(_fill(parts, lambda placeholder: f"[{' ' * len(placeholder.name)}]").encode())


def _parse_template(template: str) -> tuple[bool, Sequence[Parts]]:
    """Whether a template is text or JSON, and its lines. Raises JsonProblem for what is neither."""
    lines = [_split_template(line) for line in template.split("\n") if line.strip()]
    with suppress(JsonProblem):
        if lines and all(isinstance(_parse_sample(line), str) for line in lines):
            return True, lines
    parts = _split_template(template)
    _parse_sample(parts)
    return False, [parts]


@lru_cache(maxsize=1)  # the placeholders of a template ask for the places of the same event
def _find_spans(raw: bytes) -> dict[str, Span]:
    return find_spans(raw)


def _extract(event: Event, steps: Steps) -> str | None:
    """The JSON text of the value that a path leads to, or None where there is none."""
    value: Any = event.document
    for step in steps:
        is_element = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not is_element and not (isinstance(value, dict) and step in value):
            return None
        value = value[step]
    if not steps:
        return event.raw.decode().strip()
    span = _find_spans(event.raw)[pointer_of(steps)]
    return event.raw[span.start : span.end].decode()


def _format_envelope(event: Event) -> str:
    """The event without its payload, under the names that AWS gives it."""
    names = {key: "detailType" if key == "detail-type" else key for key in event.document if key != event.payload_key}
    return "{" + ", ".join(f"{json.dumps(name)}: {_extract(event, (key,))}" for key, name in names.items()) + "}"


def _remove_quotes(text: str) -> str:
    """An object or array as it is printed into a text."""
    compact = _QUOTED_OR_SPACE.sub(lambda match: match[1] or "", text)
    return re.sub(r'(\\[^"])|\\"', lambda match: match[1] or "", compact)


def _format_value(placeholder: Placeholder, text: str | None, *, is_text: bool) -> str:
    """What stands in the place of a placeholder whose value has a JSON text, or is not in the event."""
    if text is None:
        if placeholder.is_quoted:
            return ""
        return '""'
    if not placeholder.is_quoted:
        return text
    if text[0] not in "{[":
        if text[0] == '"':
            return str(json.loads(text))
        return text
    if not is_text:
        kind = "an array"
        if text[0] == "{":
            kind = "an object"
        raise ValueError(f"<{placeholder.name}> is {kind}, and stands in quotes in a JSON template")
    return _remove_quotes(text)


PREDEFINED: dict[str, Callable[[Event, str, int], str]] = {  # each of the event, its route, and when it came
    "aws.events.rule-arn": lambda _, route, __: json.dumps(f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{route}"),
    "aws.events.rule-name": lambda _, route, __: json.dumps(route),
    "aws.events.event.ingestion-time": lambda _, __, received: json.dumps(f"{format_timestamp(received)[:19]}Z"),
    EVENT: lambda event, _, __: _format_envelope(event),
    EVENT_JSON: lambda event, _, __: event.raw.decode().strip(),
}


def find_problems(names: Iterable[str], template: str) -> Iterator[tuple[str, str | None]]:
    """What is wrong with a template beside its shape: a sentence each, in AWS's words where it has some, and a hint."""
    known = [*names, *PREDEFINED]
    placeholders = [part for part in _split_template(template) if isinstance(part, Placeholder)]
    for name in dict.fromkeys(placeholder.name for placeholder in placeholders if placeholder.name not in known):
        hint = did_you_mean(name, known) or f"known here: {', '.join(known)}"
        yield f"InputTemplate contains invalid placeholder {name[:80]}", hint
    for name in dict.fromkeys(
        placeholder.name
        for placeholder in placeholders
        if placeholder.is_quoted and placeholder.name in (EVENT, EVENT_JSON)
    ):
        yield f"<{name}> can only be a whole JSON value, not part of a string", f'as in {{"event": <{name}>}}'
    try:
        is_text, _ = _parse_template(template)
    except JsonProblem as problem:
        location = f"line {problem.line}, column {problem.column} of it"
        yield f"the template is neither JSON nor a string in double quotes: {problem} ({location})", problem.hint
        return
    if not is_text and any(colon and len(_split_template(key)) > 1 for key, colon in _STRING.findall(template)):
        yield "a placeholder cannot be the key of an object", None


def compile_input(settings: Input | None) -> CompiledInput | None:
    """What routes.yaml says of an input, compiled. Raises JsonProblem for a template that has `problems`."""
    if settings is None:
        return None
    if settings.path:
        paths = {"": settings.path}
    else:
        paths = settings.paths
    steps = {
        name: tuple(int(index) if index else key or quoted for key, index, quoted in _STEP.findall(path))
        for name, path in paths.items()
    }
    return CompiledInput(settings.path, steps, *(_parse_template(settings.template) if settings.template else ()))


def transform_event(transform: CompiledInput, event: Event, *, route: str, received: int) -> bytes:
    """The JSON text that a handler gets instead of the event; `received` is when evtool got it, in milliseconds.

    Raises ValueError with the reason where EventBridge delivers nothing.
    """
    if not transform.lines:
        text = _extract(event, transform.steps[""])
        if text is None:
            raise ValueError(f"there is no {transform.path} in the event")
        return text.encode()

    def value_of(placeholder: Placeholder) -> str:
        steps = transform.steps.get(placeholder.name)
        text = PREDEFINED[placeholder.name](event, route, received) if steps is None else _extract(event, steps)
        return _format_value(placeholder, text, is_text=transform.is_text)

    filled = [_fill(line, value_of).strip() for line in transform.lines]
    try:
        values = [parse_json(line.encode(), max_depth=1000) for line in filled]
    except JsonProblem as problem:
        reason = "values are put into quotes as they are, without escapes"
        raise ValueError(
            f"filled in, the template is not JSON: {problem} (column {problem.column}); {reason}"
        ) from None
    if transform.is_text:
        return json.dumps("\n".join(values), ensure_ascii=False).encode()
    return filled[0].encode()
