"""Decides whether a routes.yaml is valid without pydantic, which takes longer to import than `evtool validate` to run.

It only says yes or no. What is wrong is found and described by problems.py, with pydantic.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema_rs import validator_for

from evtool.handlers.http_exchange.urls import has_problem
from evtool.routes.project import Project, load_routes_schema, without_gc

MAX_PLAIN_FIELDS = 10  # of an object; far below the limits of AWS
OPERATORS = ("prefix", "suffix", "wildcard", "numeric", "exists", "cidr", "exactly")  # that could be names of fields
STRING_FIELDS = frozenset(("account", "region", "source", "id", "detail-type", "type"))  # strings in every event


@without_gc()
def is_certainly_valid(project: Project) -> bool:
    """Whether the file has the exported shape, valid patterns without a warning, and valid names of handlers.

    False where only the models can decide, as for rule sources, patterns as JSON text and numbers in patterns.
    """
    document = project.document.value
    if project.has_rule_sources:
        return False
    try:
        schema = load_routes_schema()
        has_shape = validator_for(schema).is_valid(document)
    except ValueError:  # it has unknown values, which are no JSON
        return False
    if not has_shape:
        return False
    handlers = document.get("handlers", {})
    if any(not options.keys() & _list_kinds(schema) for options in handlers.values()):
        return False  # a plugin knows which options it has
    if any(str(options.get("python", "")).endswith(")") for options in handlers.values()):
        return False
    if any("http" in options and has_problem(options) for options in handlers.values()):
        return False
    if any("retry" in bus for bus in document.get("buses", {}).values()):
        return False  # no JSON Schema says that the pauses grow
    if _has_float({**document, "routes": None}):
        return False
    return all(_is_route(route, handlers) for route in document.get("routes", {}).values())


def _list_kinds(schema: Mapping[str, Any]) -> set[str]:
    """The kinds of handlers that evtool has itself."""
    return {key for form in schema["$defs"]["PluginOptions"]["not"]["anyOf"] for key in form.get("required", ())}


def _is_route(route: Mapping[str, Any], handlers: Mapping[str, Any]) -> bool:
    retry, pattern, to = route.get("retry", {}), route["pattern"], route["to"]
    return (
        isinstance(pattern, Mapping)
        and "template" not in route.get("input", {})
        and not retry.keys() >= {"first_delay", "max_delay"}
        and len({*to}) == len(to)
        and handlers.keys() >= {*to}
        and not _has_float({**route, "pattern": None})
        and _is_pattern(pattern)
    )


def _is_pattern(pattern: Mapping[str, Any]) -> bool:
    if any(_has_number(pattern.get(field)) for field in (*STRING_FIELDS, "$or")):
        return False  # YAML may have changed it, which only the text of the file can tell
    if _is_plain(pattern, can_nest=False):
        return True
    from evtool.patterns.compiler import PatternError, compile_pattern  # noqa: PLC0415  (few patterns are not plain)

    try:
        _, warnings = compile_pattern(pattern)
    except PatternError:
        return False
    return not warnings


def _is_plain(pattern: Mapping[str, Any], *, can_nest: bool = True) -> bool:
    """Whether a pattern has plain names, values and operators only, of which nothing can be wrong.

    At the top, only the payload has fields of its own.
    """
    return 0 < len(pattern) <= MAX_PLAIN_FIELDS and all(
        (name in ("detail-type", "replay-name") or (name.isidentifier() and name not in OPERATORS))
        and (
            _is_plain(value)
            if isinstance(value, Mapping)
            else isinstance(value, list) and len(value) > 0 and all(map(_is_plain_condition, value))
        )
        and (can_nest or name in ("detail", "data") or not isinstance(value, Mapping))
        for name, value in pattern.items()
    )


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
    """Whether there is a float in it: a JSON Schema takes `1.0` for an integer, the models do not."""
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
