"""Checks the names and types of the members of an envelope, as EventBridge and CloudEvents define them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from evtool.events import cloudevents

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
