"""Findings for documents that are not events, and for missing or invalid required members of an envelope."""

from collections.abc import Mapping, Sequence
from typing import Any

from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS, describe_type
from evtool.findings.finding import Finding
from evtool.findings.spelling import find_respelled
from evtool.readers.files import SourceText
from evtool.readers.locations import SourceMap, location_of

NOT_AN_EVENT = "this is not an event: it has no envelope (detail-type, or CloudEvents' specversion and type)"
# Of a CloudEvent.
REQUIRED_ATTRIBUTES = {"specversion", "type", "source", "id"}


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
