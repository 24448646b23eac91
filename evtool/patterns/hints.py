"""Hints for patterns that are probably a mistake: operators in the wrong place, operators of other languages."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from evtool.findings.spelling import did_you_mean
from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, kind_of, to_python
from evtool.patterns.operators.numeric import COMPARISONS
from evtool.patterns.operators.registry import OPERATORS

# Top-level fields of both envelopes whose value is never an object. An operator in an object below one is misplaced.
FLAT_FIELDS = frozenset(("id", "source", "detail-type", "account", "time", "region", "resources", "version"))
FLAT_FIELDS |= frozenset(("type", "specversion", "subject", "datacontenttype", "dataschema"))
# Operators whose names are unlikely names of fields. `prefix` and `exists`, in contrast, may well be fields.
UNMISTAKABLE = frozenset(("anything-but", "equals-ignore-case"))

# Characters. A hint does not repeat a longer value.
MAX_HINT_LENGTH = 40

TEMPLATE_HINT = "functions of templates are not resolved here: write the value"
_ONE_OF = 'the entries of a list are alternatives: ["a", "b"]'
# A hint for each operator of other languages and tools, by its name without case, "$", "-" and "_". The names come from
# SQL, MongoDB, JSON Schema, Java, Python and SNS filter policies.
OTHER_OPERATORS: dict[str, str] = {}


def _add_hint(names: str, hint: str) -> None:
    OTHER_OPERATORS.update(dict.fromkeys(names.split(), hint))


_add_hint("or any anyof oneof", f'{_ONE_OF}; alternatives of several fields are written "$or"')
_add_hint(
    "and all allof",
    "all fields of an object must hold; for one field, only a wildcard or a numeric range combines two conditions",
)
_add_hint(
    "not ne neq notequals notin nin anythingbut exclude", 'AWS has "anything-but": [{"anything-but": ["a", "b"]}]'
)
_add_hint(
    "regex regexp matches match pattern like glob",
    'AWS has no regular expressions, but "wildcard", where * matches any characters: [{"wildcard": "a*z"}]',
)
_add_hint(
    "gt gte lt lte ge le greaterthan lessthan greater less > >= < <= = min max",
    'AWS has "numeric": [{"numeric": [">", 5]}], with =, <, <=, > and >=',
)
_add_hint("between range", 'AWS has "numeric" with two bounds: [{"numeric": [">=", 1, "<=", 5]}]')
_add_hint(
    "contains includes substring",
    'AWS has "wildcard", where * matches any characters: [{"wildcard": "*text*"}]',
)
_add_hint("startswith beginswith starts begins", 'AWS has "prefix": [{"prefix": "text"}]')
_add_hint("endswith ends", 'AWS has "suffix": [{"suffix": "text"}]')
_add_hint("in eq equals is value values", _ONE_OF)
_add_hint("ip ipaddress subnet", 'AWS has "cidr": [{"cidr": "10.0.0.0/8"}]')
_add_hint("null isnull", "null is a value: [null]")
_add_hint("notnull present missing has", 'AWS has "exists": [{"exists": true}]')


def suggest_operator(name: str, field: str) -> str | None:
    """Returns a hint for an unknown operator in the list of a field: what AWS has instead."""
    if name == "$or":
        return '"$or" is a key next to fields, not an operator in a list of values'
    if _simplify(field) in ("or", "and"):
        return _suggest_other(field)
    if is_template_function(name):
        return TEMPLATE_HINT
    return did_you_mean(name, OPERATORS) or _suggest_other(name)


def is_template_function(name: str) -> bool:
    """Returns whether a key is a function of CloudFormation in JSON, such as `Ref` or `Fn::Sub`."""
    return name == "Ref" or name.startswith("Fn::")


def suggest_list(name: str, value: Any) -> str | None:
    """Returns a hint for a value in place of a list of values."""
    if is_template_function(name):
        return TEMPLATE_HINT
    if kind_of(value) != SCALAR:
        return None
    text = json.dumps(to_python(value), ensure_ascii=False)
    if len(text) > MAX_HINT_LENGTH:
        text = "..."
    if name in OPERATORS:
        return f'write the operator in a list: [{{"{name}": {text}}}]'
    hint = f"write the values as a list: [{text}]"
    other = _suggest_other(name)
    if other:
        return f"{hint}; if {name} is an operator: {other}"
    return hint


def _suggest_other(name: str) -> str | None:
    return OTHER_OPERATORS.get(_simplify(name))


def _simplify(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").removeprefix("$")


def suggest_operator_list(path: str) -> str | None:
    """Returns a hint for a field whose last name may be meant as an operator; None for other names."""
    parent, _, name = path.rpartition(".")
    if name in OPERATORS:
        return f"if {name} is an operator: {_format_list(parent.split('.'), name, [])}"
    other = _suggest_other(name)
    if other:
        return f"if {name} is an operator: {other}"
    return None


def find_misplaced_operator(names: Sequence[str], name: str, value: Any) -> tuple[str, str] | None:
    """Returns a warning and a hint if a field has the name of an operator and is probably not intended.

    `names` lead to the object with the field. A field `detail.phone.prefix` may be intended, even if the object has no
    other field. Only the value can show that it is not: no event has `[">", 5]` as values of a field.
    """
    is_flat = len(names) == 1 and names[0] in FLAT_FIELDS
    is_mistake = is_flat or name in UNMISTAKABLE or (names and _is_argument(name, value))
    if not is_mistake:
        return None
    path = ".".join(list(names) + [name])
    message = f'"{name}" is the name of a field here: the pattern asks for {path}'
    if is_flat:
        message += ", which no event has"
    if name in OPERATORS:
        return message, f"write the operator in a list: {_format_list(names, name, value)}"
    hint = _suggest_other(name)
    if is_template_function(name):
        hint = TEMPLATE_HINT
    # Other names are operators only where no field can be.
    if is_flat and hint:
        return message, hint
    return None


def _is_argument(name: str, value: Any) -> bool:
    """Returns whether a list is an argument of `numeric`, such as `[">", 5]`."""
    if name != "numeric" or kind_of(value) != ARRAY:
        return False
    items = to_python(value)
    return len(items) > 1 and isinstance(items[0], str) and items[0] in COMPARISONS


def find_placeholder(value: Any) -> str | None:
    """Returns the first `${...}` in the strings of a condition, or None."""
    if isinstance(value, str):
        match = re.search(r"\$\{[^}]*\}", value)
        if match:
            return match[0]
        return None
    items: Iterable[Any] = ()
    if isinstance(value, dict):
        items = value.values()
    elif isinstance(value, list):
        items = value
    for item in items:
        placeholder = find_placeholder(item)
        if placeholder:
            return placeholder
    return None


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
