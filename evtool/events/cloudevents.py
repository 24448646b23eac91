"""The rules of CloudEvents 1.0 for attributes and data: names, types, and data in Base64."""

import re
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from evtool.findings.spelling import find_respelled
from evtool.readers.json_text import JsonProblem, parse_json

STRING_ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
DATA_MEMBERS = ("data", "data_base64")

# The specification allows letters and digits only; but some services send names with underscores.
_NAME = re.compile("[a-z0-9_]+")
_JSON_TYPE = re.compile(r"\s*[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)


def explain_name(name: str) -> tuple[str, str | None] | None:
    """Returns the problem of the name of an attribute, and a hint; None for a valid name."""
    if _NAME.fullmatch(name):
        return None
    known = find_respelled(name, STRING_ATTRIBUTES + DATA_MEMBERS) or re.sub("[^a-z0-9]", "", name.lower())
    hint = None
    if known:
        hint = f'did you mean "{known}"?'
    return f'"{name}" is not the name of a CloudEvents attribute: names have lower-case letters and digits only', hint


def has_json_data(document: Mapping[str, Any]) -> bool:
    """Returns whether the data is JSON. Only a string is not, if `datacontenttype` names another type."""
    if _is_binary(document):
        return decode_data(document) is not None
    return not isinstance(document.get("data"), str) or declares_json(document)


def decode_data(document: Mapping[str, Any]) -> Any:
    """Returns the data of a CloudEvent. JSON in `data_base64` is decoded; other data in Base64 gives None."""
    if not _is_binary(document):
        return document.get("data")
    try:
        if declares_json(document):
            return parse_json(decode_base64(document["data_base64"]))
        return None
    except ValueError:
        return None


def explain_data(document: Mapping[str, Any]) -> str | None:
    """Returns the problem of `data_base64`, or None."""
    if document.get("data_base64") is None:
        return None
    if document.get("data") is not None:
        return "a CloudEvent has data or data_base64, not both"
    try:
        content = decode_base64(document["data_base64"])
    except (ValueError, TypeError, AttributeError):
        return "data_base64 must be a string in Base64"
    # Without a type, the data may be JSON or not.
    if document.get("datacontenttype") is None or not declares_json(document):
        return None
    try:
        parse_json(content)
    except JsonProblem as error:
        return (
            f"data_base64 is not well-formed JSON, which datacontenttype requires: {error}"
            f" (line {error.line}, column {error.column} of the decoded text)"
        )
    return None


def _is_binary(document: Mapping[str, Any]) -> bool:
    return document.get("data") is None and isinstance(document.get("data_base64"), str)


def decode_base64(text: str) -> bytes:
    """Decodes Base64, with or without padding. Raises ValueError."""
    # Some SDKs do not write the padding, which Python requires.
    content = text.rstrip("=")
    return a2b_base64(content + "=" * (-len(content) % 4), strict_mode=True)


def declares_json(document: Mapping[str, Any]) -> bool:
    """Returns whether a CloudEvent declares its data as JSON. Without `datacontenttype`, JSON is the default."""
    content_type = document.get("datacontenttype")
    return content_type is None or bool(_JSON_TYPE.fullmatch(str(content_type)))
