"""Compares the keywords of two schemas one by one: which direction a change breaks, and the change in words."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some, shorten
from evtool.schemas.diff.inlining import LISTS, MAPS, PLAIN, SINGLE

ALL_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
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
    """The changes of the keywords that do not contain schemas. `name` is the field for messages."""
    for compare in (_compare_types, _compare_values, _compare_limits, _compare_required, _compare_others):
        yield from compare(old, new, name)


def list_types(schema: Keywords) -> frozenset[str]:
    """The types that a value may have, with `integer` where it may be a number; those of its `enum` if it has one."""
    declared = schema.get("type", sorted(ALL_TYPES))
    types = frozenset([declared] if isinstance(declared, str) else declared)
    if "number" in types:
        types = types | {"integer"}
    values = _list_values(schema)
    if values is None:
        return types
    return types & {name for value in values.values() for name in _name_types(value)}


def _name_types(value: Any) -> tuple[str, ...]:
    match value:
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
    return ("array" if isinstance(value, list) else "object",)


def _breaks(*, narrowed: bool, widened: bool) -> tuple[str, ...]:
    return (BACKWARD,) * narrowed + (FORWARD,) * widened


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
    if before == after or has_values or ("type" not in old and "type" not in new):
        return  # the change of the values says more
    breaks = _breaks(narrowed=not before <= after, widened=not after <= before)
    message = f"{name}: the type was {_list_names(before)}, now {_list_names(after)}"
    yield KeywordChange("type", _kind("type", breaks), breaks, message)


def _list_names(types: frozenset[str]) -> str:
    if types >= ALL_TYPES:
        return "any"
    return " or ".join(sorted(types - {"integer"} if "number" in types else types)) or "none"


def _compare_values(old: Keywords, new: Keywords, name: str) -> Iterator[KeywordChange]:
    """`enum` and `const`, which are a list of one value."""
    before, after = _list_values(old), _list_values(new)
    if before == after or (before is not None and after is not None and before.keys() == after.keys()):
        return
    keyword = "const"
    if "enum" in new or ("const" not in new and "enum" in old):
        keyword = "enum"
    if before is None or after is None:
        values, breaks = after if before is None else before, _breaks(narrowed=before is None, widened=after is None)
        verb = "is no longer limited to"
        if before is None:
            verb = "is limited to"
        message = f"{name} {verb} {_list_some(values or {})}"
        yield KeywordChange(keyword, _kind("enum", breaks), breaks, message)
        return
    removed = {key: value for key, value in before.items() if key not in after}
    added = {key: value for key, value in after.items() if key not in before}
    breaks = _breaks(narrowed=bool(removed), widened=bool(added))
    parts = [f"{_list_some(removed)} removed"] * bool(removed) + [f"{_list_some(added)} added"] * bool(added)
    yield KeywordChange(keyword, _kind("enum", breaks), breaks, f"{name}: values {', '.join(parts)}")


def _list_values(schema: Keywords) -> dict[str, Any] | None:
    if "const" in schema:
        return {_key(schema["const"]): schema["const"]}
    values = schema.get("enum")
    if isinstance(values, list):
        return {_key(value): value for value in values}
    return None


def _key(value: Any) -> str:
    """Equal for values that JSON Schema takes as equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _list_some(values: Mapping[str, Any]) -> str:
    return list_some([shorten(json.dumps(value, ensure_ascii=False)) for value in values.values()], MAX_LISTED)


# --- limits ----------------------------------------------------------------------------------------------------------

LIMITS = (  # lower, upper
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
    texts = [
        None
        if bound is None
        else f"{'more' if sign > 0 else 'less'} than {sign * bound[0]:g}"
        if bound[1]
        else f"{sign * bound[0]:g}"
        for bound in (before, after)
    ]
    yield _limit_change(keyword, f"{name}: the {plain}", *texts, narrowed=narrowed)


def _find_bound(schema: Keywords, keywords: tuple[str, str], sign: int) -> tuple[float, bool] | None:
    """A bound and whether it is exclusive, with the sign with which a larger bound accepts less."""
    plain, exclusive = (schema.get(keyword) for keyword in keywords)
    if plain is not None:
        bounds = [(sign * plain, False)]
    else:
        bounds = []
    if exclusive is not None:
        bounds += [(sign * exclusive, True)]
    return max(bounds, default=None)


def _limit_change(keyword: str, subject: str, before: Any, after: Any, *, narrowed: bool) -> KeywordChange:
    breaks = _breaks(narrowed=narrowed, widened=not narrowed)
    texts = ["none" if value is None else value for value in (before, after)]
    return KeywordChange(keyword, _kind("limit", breaks), breaks, f"{subject} was {texts[0]}, now {texts[1]}")


# --- the rest --------------------------------------------------------------------------------------------------------


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
    """Keywords whose values either are there or not; two different values are left to the algebra."""
    for keyword in (
        "format",
        "multipleOf",
        "pattern",
        "uniqueItems",
        "dependentRequired",
        "minContains",
        "maxContains",
    ):
        before, after = (schema.get(keyword) or None for schema in (old, new))
        if before == after:
            continue
        message = f"{name}: {keyword} was {_show(before)}, now {_show(after)}"
        if keyword.endswith("Contains") or (before is not None and after is not None):
            yield KeywordChange(keyword, f"{keyword}-changed", None, message)
            continue
        breaks = _breaks(narrowed=after is not None, widened=before is not None)
        yield KeywordChange(keyword, f"{keyword}-{'added' if before is None else 'removed'}", breaks, message)


def _show(value: Any) -> str:
    if value is None:
        return "none"
    return shorten(json.dumps(value, ensure_ascii=False))


def list_companions(keyword: str) -> tuple[str, ...]:
    """The keywords whose meaning depends on one another."""
    for group in (("if", "then", "else"), ("contains", "minContains", "maxContains"), ("prefixItems", "items")):
        if keyword in group:
            return group
    if keyword.startswith("unevaluated"):
        return (*PLAIN, *SINGLE, *LISTS, *MAPS)
    if keyword == "patternProperties":
        return "patternProperties", "properties", "additionalProperties"
    return (keyword,)


Compare = Callable[[Keywords, Keywords, str], Iterator[KeywordChange]]
