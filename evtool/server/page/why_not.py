"""Explains on the page of an event which routes match it, and why the others do not."""

from typing import Any, NamedTuple

from evtool.delivery.intake import parse_stored
from evtool.reports.explanations import (
    build_explanation_record,
    build_schema_check,
    explain_candidates,
    format_values,
    list_candidates,
)
from evtool.server.context import Context
from evtool.server.page.rendering import shorten
from evtool.store.rows import StoredEvent

MAX_BYTES = 1 << 20  # of an event that is explained: it takes about as long as ten pages
MAX_SHOWN = 10  # routes that did not match, the nearest first
ORDER = (False, None, True)  # of conditions: what fails comes first


class RoutesExplanation(NamedTuple):
    """The routes that match an event, those that do not, the nearest first, and how many of them are left out."""

    matching: list[dict[str, Any]]
    others: list[dict[str, Any]]
    hidden: int
    total: int
    is_too_large: bool = False


def explain_routes(context: Context, event: StoredEvent) -> RoutesExplanation:
    """Why each of the current routes matches an event or does not."""
    candidates = list_candidates(context.routes, context.project)
    if len(event.raw) > MAX_BYTES:
        return RoutesExplanation([], [], 0, len(candidates), is_too_large=True)
    check = build_schema_check(context.rules._replace(no_schema="ignore"), parse_stored(event))
    records = [build_explanation_record(*pair) for pair in explain_candidates(event.raw, event.bus, candidates, check)]
    matching = [record for record in records if record["matches"] and record["enabled"]]
    others = [record for record in records if record not in matching]
    for record in others[:MAX_SHOWN]:
        record["conditions"] = [
            {**condition, "values": shorten(format_values(condition["actual"]))}
            for condition in sorted(record["conditions"], key=lambda condition: ORDER.index(condition["ok"]))
        ]
    for record in matching:
        record["to"] = context.routes.routes[record["route"]].to
    return RoutesExplanation(matching, others[:MAX_SHOWN], len(others[MAX_SHOWN:]), len(records))
