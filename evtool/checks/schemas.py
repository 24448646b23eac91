"""Checks all schemas of a project, also those of types that no sample has."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

from jsonschema_rs import ReferencingError, ValidationError, canonical

from evtool.checks.base import CheckContext
from evtool.checks.event_types import list_emitted_types, list_route_types
from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.readers.locations import pointer_of
from evtool.regex.backtracking import find_exponential_text
from evtool.schemas.documents.declarations import draft_of, resolve_pointer
from evtool.schemas.documents.document import DATA_KEYWORDS, NAME_KEYWORDS, SchemaDocument, Target
from evtool.schemas.documents.foreign import find_foreign
from evtool.schemas.validator import CompiledSchema, Schemas

# Keywords below which a schema need not be satisfiable.
NOT_REQUIRED = frozenset(("not", "if")) | frozenset(DATA_KEYWORDS)


def check_schemas(context: CheckContext) -> Iterator[Finding]:
    """EV601 to EV604 and EV608: schemas that cannot be used, misspelled keywords, several schemas for a type."""
    if context.schemas is None:
        return
    used = _list_used_types(context)
    for event_type, source in context.schemas.list_entries():
        try:
            schema = context.schemas.find(event_type, source or "")
        except ConfigError as error:
            if event_type in used or not _has_other_purpose(context.schemas, event_type, source):
                yield from error.findings or [_make_finding(context, str(error))]
            continue
        if schema:
            yield from schema.warnings


def _list_used_types(context: CheckContext) -> set[str]:
    used = list_route_types(context)
    used.update(map(attrgetter("type"), list_emitted_types(context)))
    used.update(map(attrgetter("type"), context.samples))
    return used


def _has_other_purpose(schemas: Schemas, event_type: str, source: str | None) -> bool:
    """Whether a file that no type needs may be there for another reason, such as one with shared definitions."""
    document = schemas.read_document(event_type, source or "")
    foreign = None
    if document and isinstance(document.value, Mapping):
        foreign = find_foreign(document.value)
    return event_type.startswith(".") or (foreign is not None and foreign.has_other_purpose)


def _make_finding(context: CheckContext, message: str) -> Finding:
    return Finding("EV601", message, **context.project.locate(("schemas",)))


def check_satisfiability(context: CheckContext) -> Iterator[Finding]:
    """EV606: schemas that no value satisfies, as far as this is proven."""
    for schema in list_schemas(context):
        for target in schema.parts:
            yield from _find_unsatisfiable(context, schema, target)


def list_schemas(context: CheckContext) -> Iterator[CompiledSchema]:
    """Yields the schemas of the project that can be used, each once."""
    # One schema may describe several types, or one type from several sources.
    seen = set()
    for event_type, source in context.schema_entries:
        schema = context.find_schema(event_type, source or "")
        if schema and schema.choice not in seen:
            seen.add(schema.choice)
            yield schema


def _find_unsatisfiable(context: CheckContext, schema: CompiledSchema, target: Target) -> Iterator[Finding]:
    assert context.schemas is not None
    document, value = target.document, resolve_pointer(target.document.value, target.pointer)
    if not isinstance(value, dict) or target.pointer:
        return
    draft = schema.choice.draft or draft_of(document.value)
    if draft:
        value = {"$schema": draft} | value
    try:
        reasons = canonical.find_unsatisfiable(
            value, validate_formats=True, retriever=context.schemas.retrieve, base_uri=document.uri
        )
    except (canonical.CanonicalizationError, ReferencingError, ValidationError):
        # The analysis does not support this schema, which decides nothing.
        return
    parts = [pointer for pointer, reason in reasons.items() if _is_mistake(value, pointer, reason)]
    if "" in reasons and not isinstance(reasons[""], canonical.UnsatisfiableReason.Literal):
        location = document.locate(min(parts, key=len, default=""), key=True)
        width = 1
        if parts:
            width = location["width"]
        message = "no value satisfies this schema" + _name_cause(parts)
        yield Finding("EV606", message, **location | {"width": width})
        return
    for pointer in parts:
        message = f"no value satisfies this part of the schema: {_describe_part(pointer)} can never be valid"
        yield Finding("EV606", message, "warning", **document.locate(pointer, key=True))


def _is_mistake(value: Any, pointer: str, reason: object) -> bool:
    """Whether a part has a name and is not deliberately unsatisfiable, as `false` and `{"not": {}}` are."""
    steps = pointer.split("/")[1:]
    if len(steps) < 2 or steps[-2] not in NAME_KEYWORDS:
        return False
    # Every second step is a keyword. A part below `not` or `if` need not be satisfiable, and examples are not schemas.
    if not NOT_REQUIRED.isdisjoint(steps[:-1:2]):
        return False
    if isinstance(reason, canonical.UnsatisfiableReason.Literal):
        return False
    part = resolve_pointer(value, pointer)
    return isinstance(part, dict) and part.get("not") not in ({}, True) and part.get("enum") != []


def _name_cause(parts: list[str]) -> str:
    if parts:
        return f": {_describe_part(min(parts, key=len))} can never be valid"
    return ""


def _describe_part(pointer: str) -> str:
    keyword, name = pointer.split("/")[-2:]
    if keyword == "properties":
        keyword = "property"
    return f'{keyword} "{name.replace("~1", "/").replace("~0", "~")}"'


def check_regular_expressions(context: CheckContext) -> Iterator[Finding]:
    """EV605: regular expressions for which a backtracking engine needs exponential time."""
    seen: set[tuple[str, str]] = set()
    for document, pointer, expression in _list_all_expressions(context):
        if (document.uri, pointer) not in seen:
            seen.add((document.uri, pointer))
            attack = find_exponential_text(expression)
            if attack:
                message = f"the regular expression can take exponential time, for example for {attack}"
                hint = "evtool limits it, other validators may hang: remove the repetition inside a repetition"
                location = document.locate(pointer, key="/patternProperties/" in pointer)
                yield Finding("EV605", message, "warning", suggestion=hint, **location)


def _list_all_expressions(context: CheckContext) -> Iterator[tuple[SchemaDocument, str, str]]:
    """Yields the regular expressions of all schemas, also of those that are not valid in another place."""
    for schema in list_schemas(context):
        yield from list_expressions(schema)
    for event_type, source in context.schema_entries:
        if context.schemas and context.find_schema(event_type, source or "") is None:
            document = context.schemas.read_document(event_type, source or "")
            # A file of another kind, such as package.json, has keys with other meanings.
            if document and not (isinstance(document.value, dict) and find_foreign(document.value)):
                yield from _walk(document, "", document.value)


def list_expressions(schema: CompiledSchema) -> Iterator[tuple[SchemaDocument, str, str]]:
    """Yields the regular expressions of a schema, each with its document and pointer."""
    for target in schema.parts:
        yield from _walk(target.document, target.pointer, resolve_pointer(target.document.value, target.pointer))


def _walk(
    document: SchemaDocument, pointer: str, value: Any, *, has_names: bool = False
) -> Iterator[tuple[SchemaDocument, str, str]]:
    """Yields the regular expressions below a value. With `has_names` its keys are names, such as those of properties.

    In {"properties": {"pattern": {"pattern": "^a"}}} the outer `pattern` is a name and only the inner one a keyword.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(document, f"{pointer}/{index}", item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        item_pointer = pointer + pointer_of([key])
        if has_names:
            yield from _walk(document, item_pointer, item)
            continue
        if key == "pattern" and isinstance(item, str):
            yield document, item_pointer, item
        if key == "patternProperties" and isinstance(item, dict):
            for name in item:
                yield document, item_pointer + pointer_of([name]), name
        if key not in DATA_KEYWORDS:
            yield from _walk(document, item_pointer, item, has_names=key in NAME_KEYWORDS)
