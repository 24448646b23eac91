"""Decides whether a routes.yaml is valid without pydantic, whose import takes longer than `evtool validate` itself.

It only decides. problems.py finds and describes problems with pydantic.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema_rs import validator_for

from evtool.handlers.http_exchange.urls import has_problem
from evtool.routes.project import Project, load_routes_schema, without_gc

# Fields of an object in a plain pattern: far below the limits of AWS.
MAX_PLAIN_FIELDS = 10
# Operators that could also be names of fields.
OPERATORS = ("prefix", "suffix", "wildcard", "numeric", "exists", "cidr", "exactly")
# Fields that are strings in every event.
STRING_FIELDS = frozenset(("account", "region", "source", "id", "detail-type", "type"))


@without_gc()
def is_certainly_valid(project: Project) -> bool:
    """Whether the file fits the JSON Schema, and its patterns and names of handlers are valid and without a warning.

    Returns False if only the models can decide: for rule sources, patterns as JSON text, and numbers in patterns.
    """
    document = project.document.value
    if project.has_rule_sources:
        return False
    try:
        schema = load_routes_schema()
        has_shape = validator_for(schema).is_valid(document)
    except ValueError:
        # An unknown value of a template is not JSON.
        return False
    if not has_shape:
        return False
    handlers, kinds = document.get("handlers", {}), _list_kinds(schema)
    for options in handlers.values():
        # Only the plugin itself knows its options.
        if options.keys().isdisjoint(kinds):
            return False
        if str(options.get("python", "")).endswith(")") or ("http" in options and has_problem(options)):
            return False
    # JSON Schema cannot express that each pause is longer than the one before.
    if any("retry" in bus for bus in document.get("buses", {}).values()):
        return False
    if _has_float(document | {"routes": None}):
        return False
    return all(_is_route(route, handlers) for route in document.get("routes", {}).values())


def _list_kinds(schema: Mapping[str, Any]) -> set[str]:
    """Returns the kinds of handlers that are part of evtool."""
    kinds: set[str] = set()
    for form in schema["$defs"]["PluginOptions"]["not"]["anyOf"]:
        kinds.update(form.get("required", ()))
    return kinds


def _is_route(route: Mapping[str, Any], handlers: Mapping[str, Any]) -> bool:
    retry, pattern, to = route.get("retry", {}), route["pattern"], route["to"]
    return (
        isinstance(pattern, Mapping)
        and "template" not in route.get("input", {})
        and not retry.keys() >= {"first_delay", "max_delay"}
        and len(set(to)) == len(to)
        and handlers.keys() >= set(to)
        and not _has_float(dict(route) | {"pattern": None})
        and _is_pattern(pattern)
    )


def _is_pattern(pattern: Mapping[str, Any]) -> bool:
    # YAML may have changed a number, which only the text of the file shows.
    if any(_has_number(pattern.get(field)) for field in STRING_FIELDS | {"$or"}):
        return False
    if _is_plain(pattern, can_nest=False):
        return True
    from evtool.patterns.compiler import PatternError, compile_pattern  # noqa: PLC0415  (few patterns are not plain)

    try:
        _, warnings = compile_pattern(pattern)
    except PatternError:
        return False
    return not warnings


def _is_plain(pattern: Mapping[str, Any], *, can_nest: bool = True) -> bool:
    """Whether a pattern has only plain names, values and operators, which are always valid.

    Without `can_nest`, as at the top, only the payload may be an object.
    """
    if not 0 < len(pattern) <= MAX_PLAIN_FIELDS:
        return False
    for name, value in pattern.items():
        if name not in ("detail-type", "replay-name") and (not name.isidentifier() or name in OPERATORS):
            return False
        if isinstance(value, Mapping):
            if not (can_nest or name in ("detail", "data")) or not _is_plain(value):
                return False
        elif not isinstance(value, list) or not value or not all(map(_is_plain_condition, value)):
            return False
    return True


def _is_plain_condition(condition: Any) -> bool:
    match condition:
        case str():
            return "$" not in condition and "!" not in condition
        case None | bool() | int() | {"exists": bool()}:
            return True
        case {"prefix": str(text)} | {"suffix": str(text)} | {"equals-ignore-case": str(text)}:
            return len(condition) == 1 and "$" not in text
        case {"numeric": ["=" | "<" | "<=" | ">" | ">=", int()]}:
            return len(condition) == 1
    return False


def _has_number(value: Any) -> bool:
    return any(isinstance(scalar, int | float) for scalar in _iter_scalars(value))


def _has_float(value: Any) -> bool:
    """Whether a value contains a float. For JSON Schema `1.0` is an integer, for the models it is not."""
    return any(isinstance(scalar, float) for scalar in _iter_scalars(value))


def _iter_scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _iter_scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_scalars(item)
    else:
        yield value
