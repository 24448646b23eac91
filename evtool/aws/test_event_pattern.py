"""AWS's operation TestEventPattern: whether a pattern matches an event."""

from collections.abc import Mapping
from typing import Any

from evtool.aws.json_protocol import AwsError
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.readers.json_text import JsonProblem, parse_json

MAX_PATTERN_LENGTH = 4096  # characters
_REQUIRED = {"id", "detail-type", "source", "account", "time", "region", "resources"}
_INVALID_EVENT = "Parameter Event is not valid."


def test_event_pattern(parameters: Mapping[str, Any]) -> dict[str, bool]:
    """Returns the response of TestEventPattern. Raises AwsError for what AWS refuses."""
    pattern, event = _read_text(parameters, "EventPattern"), _read_text(parameters, "Event")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise _constraint_error(
            f"'{pattern}'", "eventPattern", f"Member must have length less than or equal to {MAX_PATTERN_LENGTH}"
        )
    try:
        document = parse_json(event.encode())
    except JsonProblem:
        document = None
    if not isinstance(document, dict) or not document.keys() >= _REQUIRED:
        raise AwsError("ValidationException", _INVALID_EVENT)
    try:
        return {"Result": bool(Pattern(pattern).matches(event))}
    except PatternError as error:
        message = f"Event pattern is not valid. Reason: {error.problems[0].message}"
        raise AwsError("InvalidEventPatternException", message) from None


def _read_text(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise _constraint_error("null", name[0].lower() + name[1:], "Member must not be null")
    if not isinstance(value, str):
        raise AwsError("SerializationException", f"{name} is not a string")
    return value


def _constraint_error(value: str, member: str, constraint: str) -> AwsError:
    message = f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"
    return AwsError("ValidationException", message)
