"""Hints for patterns that are likely meant otherwise: operators in the wrong place, operators of other languages."""

import json
import re
from collections.abc import Sequence
from typing import Any

from evtool.findings.spelling import did_you_mean
from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, kind_of, to_python
from evtool.patterns.operators.numeric import COMPARISONS
from evtool.patterns.operators.registry import OPERATORS

# top-level fields whose value has no fields of its own in any event; of both envelopes
FLAT_FIELDS = frozenset(
    (
        *("id", "source", "detail-type", "account", "time", "region", "resources", "version"),
        *("type", "specversion", "subject", "datacontenttype", "dataschema"),
    )
)
UNMISTAKABLE = frozenset(("anything-but", "equals-ignore-case"))  # operators whose names no field has

MAX_HINT_LENGTH = 40  # characters of a value that a hint repeats

TEMPLATE_HINT = "functions of templates are not resolved here: write the value"
_RANGE = 'AWS has "numeric": [{"numeric": [">", 5]}], with =, <, <=, > and >='
_ONE_OF = 'the entries of a list are alternatives: ["a", "b"]'
_PART = 'AWS has "wildcard", where * matches any characters: [{"wildcard": "*text*"}]'
_BEGIN = 'AWS has "prefix": [{"prefix": "text"}]'
_END = 'AWS has "suffix": [{"suffix": "text"}]'
# operators of other languages, without case, "$", "-" and "_" -> what AWS has
OTHER_OPERATORS = {
    **dict.fromkeys(("or", "any", "anyof", "oneof"), f'{_ONE_OF}; alternatives of several fields are written "$or"'),
    **dict.fromkeys(
        ("and", "all", "allof"),
        "fields that stand side by side must all hold; for one field there is only a wildcard or a numeric range",
    ),
    **dict.fromkeys(
        ("not", "ne", "neq", "notequals", "notin", "nin", "anythingbut", "exclude"),
        'AWS has "anything-but": [{"anything-but": ["a", "b"]}]',
    ),
    **dict.fromkeys(
        ("regex", "regexp", "matches", "match", "pattern", "like", "glob"),
        'AWS has no regular expressions, but "wildcard", where * matches any characters: [{"wildcard": "a*z"}]',
    ),
    **dict.fromkeys(("gt", "gte", "lt", "lte", "ge", "le", "greaterthan", "lessthan", "greater", "less"), _RANGE),
    **dict.fromkeys((">", ">=", "<", "<=", "=", "min", "max"), _RANGE),
    **dict.fromkeys(("between", "range"), 'AWS has "numeric" with two bounds: [{"numeric": [">=", 1, "<=", 5]}]'),
    **dict.fromkeys(("contains", "includes", "substring"), _PART),
    **dict.fromkeys(("startswith", "beginswith", "starts", "begins"), _BEGIN),
    **dict.fromkeys(("endswith", "ends"), _END),
    **dict.fromkeys(("in", "eq", "equals", "is", "value", "values"), _ONE_OF),
    **dict.fromkeys(("ip", "ipaddress", "subnet"), 'AWS has "cidr": [{"cidr": "10.0.0.0/8"}]'),
    **dict.fromkeys(("null", "isnull"), "null is a value: [null]"),
    **dict.fromkeys(("notnull", "present", "missing", "has"), 'AWS has "exists": [{"exists": true}]'),
}


def suggest_operator(name: str, field: str) -> str | None:
    """What AWS has for an operator that it does not know, in the list of a field."""
    if name == "$or":
        return '"$or" stands beside fields, not among values'
    if _simplify(field) in ("or", "and"):
        return _suggest_other(field)
    if is_template_function(name):
        return TEMPLATE_HINT
    return did_you_mean(name, OPERATORS) or _suggest_other(name)


def is_template_function(name: str) -> bool:
    """Whether a key is a function of CloudFormation, in the form that JSON has."""
    return name == "Ref" or name.startswith("Fn::")


def suggest_list(name: str, value: Any) -> str | None:
    """The hint for a value that stands where a list of values should."""
    if is_template_function(name):
        return TEMPLATE_HINT
    if kind_of(value) != SCALAR:
        return None
    text = json.dumps(to_python(value), ensure_ascii=False)
    text = text if len(text) <= MAX_HINT_LENGTH else "..."
    if name in OPERATORS:
        return f'an operator stands in a list: [{{"{name}": {text}}}]'
    hint = f"write the values as a list: [{text}]"
    if other := _suggest_other(name):
        return f"{hint}; if {name} is an operator: {other}"
    return hint


def _suggest_other(name: str) -> str | None:
    return OTHER_OPERATORS.get(_simplify(name))


def _simplify(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").removeprefix("$")


def suggest_operator_list(path: str) -> str | None:
    """What to write if the last name in the path of a field was meant as an operator; None for all other names."""
    parent, _, name = path.rpartition(".")
    if name in OPERATORS:
        return f"if {name} is an operator: {_format_list(parent.split('.'), name, [])}"
    other = _suggest_other(name)
    if other:
        return f"if {name} is an operator: {other}"
    return None


def find_misplaced_operator(names: Sequence[str], name: str, value: Any) -> tuple[str, str] | None:
    """A warning and a hint, if a field has the name of an operator and is hardly meant.

    `names` lead to the object that has the field. A field `detail.x.prefix` may be meant, also if it is alone there;
    only the value can say that it is not.
    """
    is_operator, is_flat = name in OPERATORS, len(names) == 1 and names[0] in FLAT_FIELDS
    is_meant = not (is_flat or name in UNMISTAKABLE or (names and _is_argument(name, value)))
    hint = TEMPLATE_HINT if is_template_function(name) else _suggest_other(name)
    if not (is_operator or (is_flat and hint)) or is_meant:
        return None
    path = ".".join([*names, name])
    consequence = ", which no event has" if is_flat else ""
    message = f'"{name}" is the name of a field here: the pattern asks for {path}{consequence}'
    if not is_operator:
        return message, str(hint)
    return message, f"an operator stands in a list: {_format_list(names, name, value)}"


def _is_argument(name: str, value: Any) -> bool:
    """Whether a list has the argument of an operator, `[">", 5]`, which no field has as its values."""
    if name == "numeric" and kind_of(value) == ARRAY:
        items = to_python(value)
    else:
        items = []
    return len(items) > 1 and isinstance(items[0], str) and items[0] in COMPARISONS


def find_placeholder(value: Any) -> str | None:
    """A `${...}` in the strings of a condition."""
    if isinstance(value, str):
        match = re.search(r"\$\{[^}]*\}", value)
        return match[0] if match else None
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next(filter(None, map(find_placeholder, items)), None)


def _format_list(names: Sequence[str], name: str, value: Any) -> str:
    kind = kind_of(value)
    if kind == OBJECT:
        argument = "{...}"
    elif kind == ARRAY and name in ("anything-but", "numeric"):
        argument = "[...]"
    else:
        argument = "..."
    field = ""
    if names:
        field = f'"{names[-1]}": '
    return f'{field}[{{"{name}": {argument}}}]'
