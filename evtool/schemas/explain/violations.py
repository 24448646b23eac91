"""Makes findings of the violations of an event or a schema.

Only invalid events and schemas need this module, so others import it inside functions: it loads the spelling hints and
the explanations, which would make every start of evtool slower.
"""

from collections.abc import Sequence
from typing import Any

from jsonschema_rs import ValidationError, validator_for

from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.findings.phrases import shorten
from evtool.readers.field_paths import format_path
from evtool.readers.locations import location_of, pointer_of
from evtool.schemas.documents.declarations import resolve_pointer
from evtool.schemas.documents.document import Target
from evtool.schemas.documents.references import META_SCHEMAS
from evtool.schemas.explain.engine_errors import restore_paths
from evtool.schemas.explain.explainer import Explainer
from evtool.schemas.explain.messages import Violation, find_violations
from evtool.schemas.explain.unions import UNIONS, describe_all
from evtool.schemas.subschemas import Subschemas

DRAFTS = "draft-04, draft-06, draft-07, 2019-09 and 2020-12"


def list_violations(
    event: Event, errors: list[ValidationError], subschemas: Subschemas, prefix: Sequence[str]
) -> list[Finding]:
    """The findings for the errors of an event, in the order of its text.

    `prefix` leads to the part of the event that the schema describes.
    """
    violations = Explainer(subschemas).explain(errors)
    findings = [_make_finding(event, violation, list(prefix) + list(violation.path)) for violation in violations]
    return sorted(findings, key=_order)


def _order(finding: Finding) -> tuple[int, int, str]:
    return finding.line or 0, finding.column or 0, finding.code


def make_unknown_type_finding(event: Event, hint: str | None, severity: str) -> Finding:
    """The finding for an event whose type has no schema."""
    pointer = "/detail-type"
    if event.payload_key == "data":
        pointer = "/type"
    message = f'no schema for type "{event.type}"'
    location = location_of(event.source_map, pointer)
    return Finding("EV101", message, severity, suggestion=hint, **_identify(event), **location)


def find_invalid_keywords(part: Target, error: ValidationError, draft: str) -> list[Finding]:
    """The findings for a schema, or a part of one, that is not a valid JSON Schema of a draft. `error` is one error."""
    value = resolve_pointer(part.document.value, part.pointer)
    if isinstance(value, dict):
        draft = value.get("$schema", draft)
    # The engine would fetch an unknown meta-schema over the network.
    if not isinstance(draft, str) or draft.rstrip("#") not in META_SCHEMAS:
        return [make_invalid_schema_finding(part, error)]
    validator = validator_for({"$schema": draft, "$ref": draft}, validate_formats=True)
    errors = list(validator.iter_errors(value)) or [error]
    findings = [make_invalid_schema_finding(part, other) for other in errors]
    return sorted(dict.fromkeys(findings), key=_order)


def make_invalid_schema_finding(part: Target, error: ValidationError) -> Finding:
    """The finding for a schema, or a part of one, that is not a valid JSON Schema."""
    if error.message.startswith("Unknown meta-schema"):
        message = f"$schema names an unknown draft: {shorten(part.document.value['$schema'])}"
        location = part.document.locate("/$schema")
        return Finding("EV602", message, suggestion=f"the drafts are {DRAFTS}", **location)
    restore_paths([error], resolve_pointer(part.document.value, part.pointer))
    if isinstance(error.kind, UNIONS):
        violation = describe_all(error)
    else:
        violation = next(find_violations(error, {}))
    message = f"not a valid JSON Schema: {format_path(violation.path) or 'it'} {violation.message}"
    location = part.document.locate(part.pointer + pointer_of(violation.path), key=violation.at_key)
    return Finding("EV602", message, suggestion=violation.suggestion, **location)


def make_text_finding(event: Event) -> Finding:
    """The finding for a payload that is text where the schema describes JSON."""
    content_type = event.document.get("datacontenttype")
    key, reason = "datacontenttype", f"datacontenttype is {shorten(str(content_type))}"
    # Without a content type, data is JSON: then the reason is that data_base64 does not decode to JSON.
    if content_type is None:
        key, reason = "data_base64", "data_base64 is not"
    message = f'the schema of type "{event.type}" describes JSON, but {reason}'
    return Finding("EV108", message, **_identify(event), **location_of(event.source_map, f"/{key}"))


def _make_finding(event: Event, violation: Violation, path: Sequence[str | int]) -> Finding:
    message = f"{format_path(path) or 'the event'} {violation.message}"
    if violation.forms:
        message += f" ({', '.join(f'form {name}' for name in violation.forms)})"
    location = location_of(event.source_map, pointer_of(path), key=violation.at_key)
    return Finding(violation.code, message, suggestion=violation.suggestion, **_identify(event), **location)


def _identify(event: Event) -> dict[str, Any]:
    event_id = None
    # An id that evtool generated would differ from run to run.
    if event.has_own_id:
        event_id = event.id
    return {"event_id": event_id, "event_type": event.type}
