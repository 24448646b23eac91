"""Checks the names and types of the members of an envelope, as EventBridge and CloudEvents define them.

Also makes the findings for documents without an envelope, and for missing or invalid members.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evtool.events import cloudevents
from evtool.findings.finding import Finding
from evtool.findings.spelling import find_respelled
from evtool.readers.files import SourceText
from evtool.readers.locations import SourceMap, location_of

EVENTBRIDGE_MEMBERS = (
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
    "replay-name",
)
CLOUDEVENTS_MEMBERS = cloudevents.STRING_ATTRIBUTES + cloudevents.DATA_MEMBERS
# All but `resources` and `detail` of EventBridge, and `data` of CloudEvents.
STRING_MEMBERS = EVENTBRIDGE_MEMBERS[:7] + ("replay-name",) + cloudevents.STRING_ATTRIBUTES

_OPTIONAL_STRINGS = ("version", "account", "region")
NOT_AN_EVENT = "this is not an event: it has no envelope (detail-type, or CloudEvents' specversion and type)"
# Of a CloudEvent.
REQUIRED_ATTRIBUTES = {"specversion", "type", "source", "id"}


class MemberProblem(NamedTuple):
    """A problem of a member of an envelope. `pointer` leads to the member, with `at_key` to its key."""

    pointer: str
    message: str
    hint: str | None = None
    at_key: bool = False


def is_cloudevent(document: Mapping[str, Any]) -> bool:
    """Returns whether a document with an envelope is a CloudEvent."""
    return "specversion" in document


def find_member_problem(document: Mapping[str, Any]) -> MemberProblem | None:
    """Returns the first problem of a member that EventBridge or CloudEvents define, or None. Others may be anything.

    `envelopes` checks the required members. An optional member may be null: many programs write null for a member that
    they do not set.
    """
    if "specversion" in document:
        return _find_attribute_problem(document)
    for key in _OPTIONAL_STRINGS:
        if not isinstance(document.get(key), str | None):
            return _describe_type_problem(key, document[key], "a string")
    resources = document.get("resources")
    if resources is not None and not isinstance(resources, list):
        return _describe_type_problem("resources", resources, "a list of strings")
    for index, resource in enumerate(resources or ()):
        if not isinstance(resource, str):
            return _describe_type_problem(f"resources/{index}", resource, "a string")
    return None


def describe_type(value: object) -> str:
    """Returns the JSON type of a value in words."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    if value == "":
        return "an empty string"
    return names.get(type(value), "a number")


def _find_attribute_problem(document: Mapping[str, Any]) -> MemberProblem | None:
    for key, value in document.items():
        problem = cloudevents.explain_name(key)
        if problem:
            message, hint = problem
            return MemberProblem(_pointer(key), message, hint, at_key=True)
        if key in cloudevents.STRING_ATTRIBUTES and not isinstance(value, str | None):
            return _describe_type_problem(key, value, "a string")
        if key not in cloudevents.DATA_MEMBERS and isinstance(value, dict | list):
            return _describe_type_problem(key, value, "a string, a number or a boolean")
    data_message = cloudevents.explain_data(document)
    if data_message:
        return MemberProblem("/data_base64", data_message)
    return None


def _describe_type_problem(path: str, value: object, expected: str) -> MemberProblem:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    hint = None
    if expected == "a string" and is_number:
        hint = f'put it in quotes: "{value}"'
    # resources/1 becomes resources[1].
    name = path.replace("/", "[") + "]" * path.count("/")
    return MemberProblem(f"/{path}", f"the envelope's {name} must be {expected}, not {describe_type(value)}", hint)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def describe_other_document(text: SourceText, document: Mapping[str, Any]) -> Finding:
    """Returns the finding for a JSON object that is not an event."""
    # Imported late: most inputs are events.
    from evtool.events.wrappers import UNWRAP_HINT, find_wrapper  # noqa: PLC0415

    message, hint = NOT_AN_EVENT, _suggest_envelope(document)
    wrapper = find_wrapper(document)
    if wrapper:
        message, hint = f"this is not an event: it is {wrapper.description}", UNWRAP_HINT
    return Finding("EV009", message, suggestion=hint, **location_of(SourceMap(text), ""))


def _suggest_envelope(document: Mapping[str, Any]) -> str:
    for member in ("detail-type", "specversion"):
        key = find_respelled(member, document)
        if key:
            return f'"{member}" is written "{key}" here'
    if document.keys() >= REQUIRED_ATTRIBUTES - {"specversion"}:
        return 'a CloudEvent has "specversion": "1.0"; for another payload, name its type with --type'
    if isinstance(document.get("type"), str):
        return "name its type with --type, or where its type is with --type-at /type"
    return "name its type with --type"


def make_member_finding(
    source_map: SourceMap | None,
    document: Mapping[str, Any],
    base: str,
    key: str,
    expected: str = "a string that is not empty",
) -> Finding:
    """Returns the finding for a member that is missing, or that has another type than expected.

    `base` is the pointer to the envelope.
    """
    if key in document:
        value = document[key]
        kind, hint = describe_type(value), None
        if isinstance(value, str) and "\0" in value:
            kind = "one with a NUL character"
        if key == "detail" and isinstance(value, str) and value.lstrip().startswith("{"):
            hint = "its JSON is in a string: write it without the quotes and backslashes"
        message = f"the envelope's {key} must be {expected}, not {kind}"
        return Finding("EV108", message, suggestion=hint, **location_of(source_map, f"{base}/{key}"))
    message = f"the envelope has no {key}"
    respelled = find_respelled(key, _list_other_members(document, key))
    if respelled is None:
        return Finding("EV108", message, **location_of(source_map, base))
    location = location_of(source_map, f"{base}/{respelled}", key=True)
    return Finding("EV108", message, suggestion=f'did you mean "{key}"?', **location)


def _list_other_members(document: Mapping[str, Any], key: str) -> list[str]:
    """Returns the members that may be misspellings of a missing one: those that the envelope does not define."""
    known: Sequence[str] = EVENTBRIDGE_MEMBERS
    if "specversion" in document:
        known = CLOUDEVENTS_MEMBERS
    # The keys of a PutEvents entry begin with a capital, and are not similar to each other.
    if key[0].isupper():
        known = ()
    return [name for name in document if name not in known]
