"""Builds records of findings and deliveries, and runs reports on them."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from evtool.findings.finding import Finding
from evtool.reports.base import Subject
from evtool.reports.formats.registry import KINDS
from evtool.reports.formats.text import FindingsReport
from evtool.schemas.validation import ValidationResult


def write_report(kind: str, command: str, records: Sequence[ValidationResult | Mapping[str, Any]], **tail: Any) -> str:
    """Returns the output of a report of a command."""
    file = io.StringIO()
    report = KINDS[kind](Subject(command, "records", FindingsReport), file, "never")
    for record in records:
        if isinstance(record, ValidationResult):
            report.add_result(record)
        else:
            report.add_record(record)
    report.end({"summary": {}} | tail)
    return file.getvalue()


def build_result(message: str, **fields: Any) -> ValidationResult:
    """Builds the validation result of an event with one finding."""
    finding = Finding("EV104", message, **{"file": "e.json", "line": 3, "column": 5, **fields})
    return ValidationResult(finding.file or "", finding.line or 1, None, (finding,))


def build_delivery(text: str, **fields: Any) -> Mapping[str, Any]:
    """Builds the record of `publish` for an event with a dead delivery."""
    delivery = {"route": text, "handler": text, "state": "dead", "error": text, "condition": None, **fields}
    return {"id": text, "type": text, "deliveries": [delivery]}


SCENARIO = {
    "name": "an order is paid for",
    "file": "scenarios/orders.yaml",
    "line": 3,
    "ok": False,
    "failures": [{"what": "handlers.charge-card", "expected": 1, "actual": 0, "reason": 'source is "shop"'}],
}
CHANGE = {
    "change": "lost",
    "severity": "warning",
    "route": "pay-for-order",
    "handler": "charge-card",
    "event": "1",
    "type": "order.created",
    "reason": "detail.total is 5",
    "file": "routes.yaml",
    "line": 12,
    "column": 7,
}
