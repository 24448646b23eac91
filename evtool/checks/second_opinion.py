"""Compares jsonschema-rs with a second engine, `jsonschema`: both must accept the same schemas and the same samples.

Other programs that read the same schemas may use either. Formats are left out of the comparison: drafts leave it open
whether they count. Samples are compared only if no regular expression of the schema can hang the second engine, which
backtracks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema_rs import ReferencingError, ValidationError, validator_for

from evtool.checks.base import CheckContext
from evtool.checks.schemas import list_expressions, list_schemas
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.findings.phrases import shorten
from evtool.readers.locations import location_of, pointer_of
from evtool.regex.backtracking import find_exponential_text, is_plain
from evtool.schemas.documents.declarations import DRAFT_2020, draft_of, resolve_pointer
from evtool.schemas.validator import CompiledSchema, fill_in


def check_agreement(context: CheckContext) -> Iterator[Finding]:
    """EV607: schemas and samples about which the two engines disagree."""
    if context.schemas is None:
        return
    retrieve = context.schemas.retrieve
    for schema in list_schemas(context):
        yield from _check_schema(schema)
        samples = [sample for sample in context.samples if _uses(context, sample, schema)]
        expressions = {expression for _, _, expression in list_expressions(schema)}
        if samples and all(map(_is_harmless, expressions)):
            yield from _check_samples(schema, samples, retrieve)


def _uses(context: CheckContext, sample: Event, schema: CompiledSchema) -> bool:
    return sample.has_json_payload and context.find_schema(sample.type, sample.source, sample.payload_key) is schema


def _is_harmless(expression: str) -> bool:
    return is_plain(expression) and find_exponential_text(expression) is None


def _find_draft(schema: CompiledSchema) -> str:
    return schema.choice.draft or draft_of(schema.root.document.value) or DRAFT_2020


def _find_engine(draft: str) -> Any:
    from jsonschema import validators  # type: ignore[import-untyped]  # noqa: PLC0415  (slow to import)

    return validators.validator_for({"$schema": draft}, default=None)


def _check_schema(schema: CompiledSchema) -> Iterator[Finding]:
    """Validates the documents of a schema against their meta-schema with the second engine."""
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]  # noqa: PLC0415

    engine = _find_engine(_find_draft(schema))
    if engine is None:
        return
    for target in schema.parts:
        try:
            engine.check_schema(resolve_pointer(target.document.value, target.pointer), format_checker=None)
        except SchemaError as error:
            message = f"jsonschema refuses this schema, jsonschema-rs accepts it: {shorten(error.message)}"
            location = target.document.locate(target.pointer + pointer_of(error.absolute_path))
            yield Finding("EV607", message, "warning", suggestion="other programs may refuse it, too", **location)


def _check_samples(schema: CompiledSchema, samples: list[Event], retrieve: Any) -> Iterator[Finding]:
    reference = {"$schema": _find_draft(schema), "$ref": f"{schema.root.document.uri}#{schema.root.pointer}"}
    second = _build_second(reference, retrieve)
    if second is None:
        return
    try:
        first = validator_for(reference, validate_formats=False, retriever=retrieve)
    except (ValidationError, ReferencingError, ValueError):
        return
    for sample in samples:
        value: Any = sample.detail
        if schema.choice.envelope is not None:
            value = fill_in(sample)
        try:
            errors = list(second.iter_errors(value))
        except Exception:  # noqa: BLE001  (an error inside the second engine decides nothing)
            return
        # One example of a schema is enough: further ones mostly have the same cause.
        if first.is_valid(value) != (not errors):
            yield _make_finding(sample, schema, errors)
            return


def _build_second(reference: Mapping[str, Any], retrieve: Any) -> Any:
    from referencing import Registry, Resource  # noqa: PLC0415  (only this check needs it)
    from referencing.jsonschema import specification_with  # noqa: PLC0415

    engine = _find_engine(str(reference["$schema"]))
    if engine is None:
        return None
    specification: Any = specification_with(str(reference["$schema"]))

    def find(uri: str) -> Any:
        return Resource(contents=retrieve(uri), specification=specification)  # type: ignore[call-arg]

    registry: Any = Registry(retrieve=find)  # type: ignore[call-arg]
    return engine(reference, registry=registry)


def _make_finding(sample: Event, schema: CompiledSchema, errors: list[Any]) -> Finding:
    name = schema.root.document.text.file
    path: list[str | int] = []
    if schema.choice.envelope is None:
        path.append(sample.payload_key)
    if errors:
        message = f"jsonschema finds the sample invalid, jsonschema-rs does not: {shorten(errors[0].message)}"
        path += errors[0].absolute_path
    else:
        message = "jsonschema-rs finds the sample invalid, jsonschema does not"
    location = location_of(sample.source_map, pointer_of(path))
    hint = f"write the rule in {name} in a way that all engines take alike"
    return Finding("EV607", message, "warning", event_type=sample.type, suggestion=hint, **location)
