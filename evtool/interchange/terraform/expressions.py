"""Strings of Terraform configurations: what is a literal, what is an expression, and what an expression refers to."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from evtool.interchange.texts.open_text import make_unknown, parse_open_json

EXPRESSION = re.compile(r"(?<!\$)\$\{|(?<!%)%\{")  # `$${` is the text `${`
_WHOLE = re.compile(r"\$\{(.*)\}", re.DOTALL)
_REFERENCE = re.compile(
    r"(?:data\.)?(?P<type>aws_[a-z0-9_]+)\.(?P<name>[A-Za-z_][\w-]*)|module\.(?P<module>[A-Za-z_][\w-]*)"
)


class Reference(NamedTuple):
    """The resource that an expression refers to, or a module, with the type `module`."""

    type: str
    name: str


def resolve(value: Any) -> Any:
    """Returns the value with an Unknown for each string that has an expression."""
    if isinstance(value, str):
        if EXPRESSION.search(value):
            return make_unknown(value)
        return unescape(value)
    if isinstance(value, dict):
        return {key: resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item) for item in value]
    return value


def resolve_pattern(value: Any) -> Any:
    """Returns an event pattern: JSON text, or the value that `jsonencode` gets."""
    if not isinstance(value, str):
        return resolve(value)
    pattern = parse_open_json(value, EXPRESSION)
    if isinstance(pattern, str):
        return unescape(pattern)
    return pattern


def unescape(text: str) -> str:
    """Returns the text of a string without expressions."""
    return text.replace("$${", "${").replace("%%{", "%{")


def format_expression(value: str) -> str:
    """Returns an expression as `.tf` files have it: without `${}` around it."""
    match = _WHOLE.fullmatch(value)
    if match and "${" not in match[1]:
        return match[1]
    return value


def find_reference(texts: Sequence[Any]) -> Reference | None:
    """Returns the first resource or module that expressions refer to."""
    for text in texts:
        match = None
        if isinstance(text, str):
            match = _REFERENCE.search(text)
        if match:
            return Reference(match["type"] or "module", match["name"] or match["module"])
    return None
