"""Explains on the page of an event which routes match it, and why the others do not."""

from itertools import starmap
from typing import Any, NamedTuple

from evtool.delivery.intake import parse_stored
from evtool.patterns.explain.explanation import Explanation
from evtool.reports.explanations import (
    Candidate,
    build_explanation_record,
    build_schema_check,
    explain_candidates,
    format_values,
    list_candidates,
)
from evtool.routes.routes import Route
from evtool.server.context import Context
from evtool.server.page.rendering import shorten
from evtool.store.rows import StoredEvent

# Bytes of an event that is explained. With a thousand routes this takes a second.
MAX_BYTES = 256 << 10
# The number of routes that did not match, the nearest first.
MAX_SHOWN = 10
# The number of routes for which a change is computed. This takes longer than everything else.
MAX_CHANGED = 20
# The order of conditions by their results: the conditions that fail come first.
ORDER = (False, None, True)


class RoutesExplanation(NamedTuple):
    """The routes that match an event, those that do not, the nearest first, and how many of them are left out."""

    matching: list[Route]
    others: list[dict[str, Any]]
    hidden: int
    total: int
    is_too_large: bool = False


def explain_routes(context: Context, event: StoredEvent) -> RoutesExplanation:
    """Returns why each of the current routes matches an event or does not."""
    candidates = list_candidates(context.routes, context.project)
    if len(event.raw) > MAX_BYTES:
        return RoutesExplanation([], [], 0, len(candidates), is_too_large=True)
    check = build_schema_check(context.rules._replace(no_schema="ignore"), parse_stored(event))
    pairs = explain_candidates(event.raw, event.bus, candidates, check, MAX_CHANGED)
    matching: list[Route] = []
    others: list[tuple[Candidate, Explanation]] = []
    for candidate, explanation in pairs:
        if candidate.enabled and explanation.matches:
            matching.append(context.routes.routes[str(candidate.route)])
        else:
            others.append((candidate, explanation))
    records = list(starmap(_build_record, others[:MAX_SHOWN]))
    return RoutesExplanation(matching, records, len(others[MAX_SHOWN:]), len(pairs))


def _build_record(candidate: Candidate, explanation: Explanation) -> dict[str, Any]:
    record = build_explanation_record(candidate, explanation)
    conditions: list[dict[str, Any]] = []
    for result in ORDER:
        for condition in record["conditions"]:
            if condition["ok"] is result:
                conditions.append({**condition, "values": shorten(format_values(condition["actual"]))})
    record["conditions"] = conditions
    return record
