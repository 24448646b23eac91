"""Transforms an event into the input of a handler, as EventBridge's InputPath and InputTransformer do.

    event       {"detail": {"id": "o-1", "total": 1.10, "items": [{"sku": "A"}]}}
    paths       {order: $.detail.id, total: $.detail.total, items: $.detail.items}
    template    {"text": "order <order>", "total": <total>, "items": <items>}
    result      {"text": "order o-1", "total": 1.10, "items": [{"sku": "A"}]}

A value is inserted as its text in the event, so that a number keeps its form. In quotes, a string loses its own quotes.
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
    hint = "a path is $, with .name, [0] or ['name'] after it, and nothing else"
    # The $ may be missing, or the quotes may be of the wrong kind.
    for candidate in (f"$.{text.removeprefix('$')}", text.replace('"', "'")):
        if re.fullmatch(JSONPATH[1:-1], candidate):
            hint = f'did you mean "{candidate}"?'
            break
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
    """The input of the handlers of a route in place of the event: the part at a path, or a template with values."""

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
        if not keys:
            raise ValueError("path or template is missing")
        if not {"path", "template"} & keys:
            raise ValueError("template is missing")
        return self


class Placeholder(NamedTuple):
    """A placeholder of a template, and whether it is inside quotes."""

    name: str
    is_quoted: bool


Parts = Sequence[str | Placeholder]
Steps = tuple[str | int, ...]


class CompiledInput(NamedTuple):
    """A compiled Input: the steps of its path or paths, and the lines of its template, which is JSON or text."""

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
    parts.append(text[position:])
    return parts


def _fill(parts: Parts, value_of: Callable[[Placeholder], str]) -> str:
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        else:
            texts.append(value_of(part))
    return "".join(texts)


def _sample_value(placeholder: Placeholder) -> str:
    # An array is valid in place of a value and inside quotes. With the length of the placeholder, the columns of a
    # problem are those of the template.
    return f"[{' ' * len(placeholder.name)}]"


def _parse_sample(parts: Parts) -> Any:
    """Returns the value of a template with sample values. Raises JsonProblem."""
    return parse_json(_fill(parts, _sample_value).encode())


def _parse_template(template: str) -> tuple[bool, Sequence[Parts]]:
    """Returns whether a template is text, not JSON, and its lines. Raises JsonProblem if it is neither."""
    lines = [_split_template(line) for line in template.split("\n") if line.strip()]
    with suppress(JsonProblem):
        if lines and all(isinstance(_parse_sample(line), str) for line in lines):
            return True, lines
    parts = _split_template(template)
    _parse_sample(parts)
    return False, [parts]


# Cached: all placeholders of a template need the positions of values in the same event.
@lru_cache(maxsize=1)
def _find_spans(raw: bytes) -> dict[str, Span]:
    return find_spans(raw)


def _extract(event: Event, steps: Steps) -> str | None:
    """Returns the JSON text of the value at a path, or None if the event has no value there."""
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
    """Returns the event without its payload, with the names of members that AWS uses here."""
    members = []
    for key in event.document:
        name = key
        if key == "detail-type":
            name = "detailType"
        if key != event.payload_key:
            members.append(f"{json.dumps(name)}: {_extract(event, (key,))}")
    return "{" + ", ".join(members) + "}"


def _remove_quotes(text: str) -> str:
    """Returns an object or array in the form in which AWS inserts it into a string: without blanks and quotes."""
    compact = _QUOTED_OR_SPACE.sub(_keep_group, text)
    return re.sub(r'(\\[^"])|\\"', _keep_group, compact)


def _keep_group(match: re.Match[str]) -> str:
    return match[1] or ""


def _format_value(placeholder: Placeholder, text: str | None, *, is_text: bool) -> str:
    """Returns the text in place of a placeholder. `text` is the JSON text of its value, or None without a value."""
    if text is None:
        if placeholder.is_quoted:
            return ""
        return '""'
    if not placeholder.is_quoted:
        return text
    if text[0] == '"':
        return str(json.loads(text))
    if text[0] not in "{[":
        return text
    if not is_text:
        kind = "an array"
        if text[0] == "{":
            kind = "an object"
        raise ValueError(f"<{placeholder.name}> is {kind}, but it is in quotes in a JSON template")
    return _remove_quotes(text)


class _Context(NamedTuple):
    """The values that predefined placeholders depend on. `received` is in milliseconds since 1970."""

    event: Event
    route: str
    received: int


def _rule_arn(context: _Context) -> str:
    return json.dumps(f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{context.route}")


def _rule_name(context: _Context) -> str:
    return json.dumps(context.route)


def _ingestion_time(context: _Context) -> str:
    # In seconds, as on AWS.
    return json.dumps(f"{format_timestamp(context.received)[:19]}Z")


def _event(context: _Context) -> str:
    return _format_envelope(context.event)


def _event_json(context: _Context) -> str:
    return context.event.raw.decode().strip()


# The placeholders that AWS defines. Each function returns a JSON text.
PREDEFINED: dict[str, Callable[[_Context], str]] = {
    "aws.events.rule-arn": _rule_arn,
    "aws.events.rule-name": _rule_name,
    "aws.events.event.ingestion-time": _ingestion_time,
    EVENT: _event,
    EVENT_JSON: _event_json,
}


def find_problems(names: Iterable[str], template: str) -> Iterator[tuple[str, str | None]]:
    """Yields the problems of a template, with the message of AWS if it has one, and a hint."""
    known = list(names) + list(PREDEFINED)
    # Each placeholder once.
    placeholders = dict.fromkeys(part for part in _split_template(template) if isinstance(part, Placeholder))
    for name in dict.fromkeys(placeholder.name for placeholder in placeholders):
        if name not in known:
            hint = did_you_mean(name, known) or f"known here: {', '.join(known)}"
            yield f"InputTemplate contains invalid placeholder {name[:80]}", hint
    for name, is_quoted in placeholders:
        if is_quoted and name in (EVENT, EVENT_JSON):
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
    """Compiles an input of routes.yaml. Raises JsonProblem for a template with problems."""
    if settings is None:
        return None
    if settings.path:
        return CompiledInput(settings.path, {"": _parse_steps(settings.path)})
    steps = {name: _parse_steps(path) for name, path in settings.paths.items()}
    is_text, lines = _parse_template(settings.template)
    return CompiledInput("", steps, is_text, lines)


def _parse_steps(path: str) -> Steps:
    steps: list[str | int] = []
    for key, index, quoted_key in _STEP.findall(path):
        if index:
            steps.append(int(index))
        else:
            steps.append(key or quoted_key)
    return tuple(steps)


def transform_event(transform: CompiledInput, event: Event, *, route: str, received: int) -> bytes:
    """Returns the JSON text that a handler receives in place of the event.

    `received` is the time at which evtool received the event, in milliseconds since 1970. Raises ValueError with the
    reason if EventBridge would deliver nothing.
    """
    if not transform.lines:
        text = _extract(event, transform.steps[""])
        if text is None:
            raise ValueError(f"the event has no {transform.path}")
        return text.encode()

    context = _Context(event, route, received)

    def value_of(placeholder: Placeholder) -> str:
        steps = transform.steps.get(placeholder.name)
        if steps is None:
            text: str | None = PREDEFINED[placeholder.name](context)
        else:
            text = _extract(event, steps)
        return _format_value(placeholder, text, is_text=transform.is_text)

    filled = [_fill(line, value_of).strip() for line in transform.lines]
    try:
        values = [parse_json(line.encode(), max_depth=1000) for line in filled]
    except JsonProblem as problem:
        # On AWS, too: a string with a line break or a quote cannot be inserted in quotes.
        reason = "values are inserted in quotes unchanged, without escapes"
        message = f"with its values, the template is not JSON: {problem} (column {problem.column}); {reason}"
        raise ValueError(message) from None
    if transform.is_text:
        return json.dumps("\n".join(values), ensure_ascii=False).encode()
    return filled[0].encode()
