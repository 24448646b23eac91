"""Compares the keywords of two schemas one by one: the directions that a change breaks, and the change in words.

A change that accepts fewer values narrows the schema: it breaks backward compatibility, since the new schema refuses
values that the old one accepts. A change that accepts more values widens it and breaks forward compatibility. Example:
from {"minLength": 1} to {"minLength": 5, "maxLength": 9} both limits are narrowed, so two changes break "backward".
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some, shorten
from evtool.schemas.diff.inlining import LISTS, MAPS, PLAIN, SINGLE
from evtool.schemas.documents.declarations import list_fixed_values

ALL_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
# Values that a message lists.
MAX_LISTED = 5
BACKWARD, FORWARD = "backward", "forward"

Keywords = Mapping[str, Any]


class KeywordChange(NamedTuple):
    """A change of one keyword. `breaks` is None if it cannot be decided from the keyword alone."""

    keyword: str
    kind: str
    breaks: tuple[str, ...] | None
    message: str


def compare_keywords(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    """Yields the changes of the keywords that do not contain schemas. `name` is the field in messages."""
    for compare in (_compare_types, _compare_values, _compare_limits, _compare_required, _compare_others):
        yield from compare(old, new, name)


def list_types(schema: Keywords) -> frozenset[str]:
    """The types that a value may have; those of its `enum` if it has one. With "number" goes "integer"."""
    declared = schema.get("type", ALL_TYPES)
    if isinstance(declared, str):
        declared = [declared]
    types = frozenset(declared)
    if "number" in types:
        types = types | {"integer"}
    values = _list_values(schema)
    if values is None:
        return types
    value_types: set[str] = set()
    for value in values.values():
        value_types.update(_name_types(value))
    return types & value_types


def _name_types(value: Any) -> tuple[str, ...]:
    match value:
        # In Python, True is an int.
        case bool():
            return ("boolean",)
        case None:
            return ("null",)
        case str():
            return ("string",)
        case int() | float():
            if value == int(value):
                return ("integer", "number")
            return ("number",)
        case list():
            return ("array",)
    return ("object",)


def _breaks(*, narrowed: bool, widened: bool) -> tuple[str, ...]:
    breaks: tuple[str, ...] = ()
    if narrowed:
        breaks += (BACKWARD,)
    if widened:
        breaks += (FORWARD,)
    return breaks


def _kind(subject: str, breaks: tuple[str, ...]) -> str:
    if len(breaks) != 1:
        ending = "changed"
    elif breaks == (BACKWARD,):
        ending = "narrowed"
    else:
        ending = "widened"
    return f"{subject}-{ending}"


def _compare_types(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    before, after = list_types(old), list_types(new)
    has_values = _list_values(old) is not None and _list_values(new) is not None
    # Between two lists of values, their change says more than the types.
    if before == after or has_values or ("type" not in old and "type" not in new):
        return
    breaks = _breaks(narrowed=not before <= after, widened=not after <= before)
    message = f"{name}: the type was {_list_names(before)}, now {_list_names(after)}"
    yield KeywordChange("type", _kind("type", breaks), breaks, message)


def _list_names(types: frozenset[str]) -> str:
    if types >= ALL_TYPES:
        return "any"
    if "number" in types:
        types = types - {"integer"}
    return " or ".join(sorted(types)) or "none"


def _compare_values(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    """The changes of `enum` and `const`, which is like an `enum` of one value."""
    before, after = _list_values(old), _list_values(new)
    if before == after or (before is not None and after is not None and before.keys() == after.keys()):
        return
    keyword = "const"
    if "enum" in new or ("const" not in new and "enum" in old):
        keyword = "enum"
    breaks = _breaks(narrowed=before is None, widened=after is None)
    if before is None:
        message = f"{name} is limited to {_list_some(after or {})}"
    elif after is None:
        message = f"{name} is no longer limited to {_list_some(before)}"
    else:
        removed = {key: value for key, value in before.items() if key not in after}
        added = {key: value for key, value in after.items() if key not in before}
        breaks = _breaks(narrowed=bool(removed), widened=bool(added))
        message = f"{name}: values {_describe_values(removed, added)}"
    yield KeywordChange(keyword, _kind("enum", breaks), breaks, message)


def _describe_values(removed: Mapping[str, Any], added: Mapping[str, Any]) -> str:
    parts = []
    if removed:
        parts.append(f"{_list_some(removed)} removed")
    if added:
        parts.append(f"{_list_some(added)} added")
    return ", ".join(parts)


def _list_values(schema: Keywords) -> dict[str, Any] | None:
    """The values that a schema lists, by a key that is equal for equal values; None if it does not list them."""
    values = list_fixed_values(schema)
    if values is None:
        return None
    return {_key(value): value for value in values}


def _key(value: Any) -> str:
    """A string that is equal for values that JSON Schema treats as equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _list_some(values: Mapping[str, Any]) -> str:
    return list_some(list(map(_to_json, values.values())), MAX_LISTED)


def _to_json(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False))


# --- limits ----------------------------------------------------------------------------------------------------------

# The lower and the upper limit, and the word for the limited number.
LIMITS = (
    ("minLength", "maxLength", "length"),
    ("minItems", "maxItems", "number of items"),
    ("minProperties", "maxProperties", "number of properties"),
)


def _compare_limits(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    for lower, upper, noun in LIMITS:
        before, after = old.get(lower, 0), new.get(lower, 0)
        if before != after:
            yield _limit_change(lower, f"{name}: the least {noun}", before, after, narrowed=after > before)
        before, after = old.get(upper), new.get(upper)
        if before != after:
            narrowed = before is None or (after is not None and after < before)
            yield _limit_change(upper, f"{name}: the largest {noun}", before, after, narrowed=narrowed)
    yield from _compare_bound(old, new, name, ("minimum", "exclusiveMinimum"), 1)
    yield from _compare_bound(old, new, name, ("maximum", "exclusiveMaximum"), -1)


def _compare_bound(
    old: Keywords, new: Keywords, name: str, keywords: tuple[str, str], sign: int
) -> Iterator[KeywordChange]:
    plain, exclusive = keywords
    before, after = _find_bound(old, keywords, sign), _find_bound(new, keywords, sign)
    if before == after:
        return
    narrowed = before is None or (after is not None and after > before)
    if exclusive in new or (plain not in new and exclusive in old):
        keyword = exclusive
    else:
        keyword = plain
    old_text, new_text = _describe_bound(before, sign), _describe_bound(after, sign)
    yield _limit_change(keyword, f"{name}: the {plain}", old_text, new_text, narrowed=narrowed)


def _find_bound(schema: Keywords, keywords: tuple[str, str], sign: int) -> tuple[float, bool] | None:
    """A bound and whether it is exclusive. `sign` turns upper bounds around, so that a larger bound accepts less."""
    plain, exclusive = schema.get(keywords[0]), schema.get(keywords[1])
    bounds = []
    if plain is not None:
        bounds.append((sign * plain, False))
    if exclusive is not None:
        bounds.append((sign * exclusive, True))
    return max(bounds, default=None)


def _describe_bound(bound: tuple[float, bool] | None, sign: int) -> str | None:
    if bound is None:
        return None
    number, is_exclusive = bound
    text = f"{sign * number:g}"
    if not is_exclusive:
        return text
    if sign > 0:
        return f"more than {text}"
    return f"less than {text}"


def _limit_change(keyword: str, subject: str, before: Any, after: Any, *, narrowed: bool) -> KeywordChange:
    breaks = _breaks(narrowed=narrowed, widened=not narrowed)
    if before is None:
        before = "none"
    if after is None:
        after = "none"
    return KeywordChange(keyword, _kind("limit", breaks), breaks, f"{subject} was {before}, now {after}")


# --- the rest --------------------------------------------------------------------------------------------------------

OTHERS = ("format", "multipleOf", "pattern", "uniqueItems", "dependentRequired", "minContains", "maxContains")


def _compare_required(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    before, after = set(old.get("required", [])), set(new.get("required", []))
    prefix = ""
    if name != "the value":
        prefix = f"{name}."
    for field in sorted(after - before):
        yield KeywordChange("required", "required-added", (BACKWARD,), f"{prefix}{field} is now required")
    for field in sorted(before - after):
        yield KeywordChange("required", "required-removed", (FORWARD,), f"{prefix}{field} is no longer required")


def _compare_others(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    """The changes of keywords that a schema either has or not. Two different values are left to the algebra."""
    for keyword in OTHERS:
        before, after = old.get(keyword) or None, new.get(keyword) or None
        if before == after:
            continue
        message = f"{name}: {keyword} was {_show(before)}, now {_show(after)}"
        if keyword.endswith("Contains") or (before is not None and after is not None):
            yield KeywordChange(keyword, f"{keyword}-changed", None, message)
            continue
        state = "removed"
        if before is None:
            state = "added"
        breaks = _breaks(narrowed=after is not None, widened=before is not None)
        yield KeywordChange(keyword, f"{keyword}-{state}", breaks, message)


def _show(value: Any) -> str:
    if value is None:
        return "none"
    return _to_json(value)


def list_companions(keyword: str) -> tuple[str, ...]:
    """A keyword with those that its meaning depends on."""
    for group in (("if", "then", "else"), ("contains", "minContains", "maxContains"), ("prefixItems", "items")):
        if keyword in group:
            return group
    # Every keyword can evaluate properties or elements.
    if keyword.startswith("unevaluated"):
        return PLAIN + SINGLE + LISTS + MAPS
    if keyword == "patternProperties":
        return "patternProperties", "properties", "additionalProperties"
    return (keyword,)
