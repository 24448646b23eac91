"""Conditions in SQL that select events: of a filter, and of a list of ids."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evtool.store.rows import SOURCE_RANGE, Filter, compute_event_key

WITH_ID = (  # of pairs of id and key; CROSS keeps the order, so that of the keys only those wanted are read
    "SELECT event.seq FROM json_each(?) AS wanted CROSS JOIN event_key ON event_key.merged IN (0, 1)"
    f" AND event_key.key BETWEEN wanted.value ->> 1 AND (wanted.value ->> 1) + {SOURCE_RANGE}"
    " JOIN event ON event.seq = event_key.event AND event.id = wanted.value ->> 0"
)


def encode_ids(ids: Sequence[str]) -> str:
    """The value that WITH_ID takes."""
    return json.dumps([(id, compute_event_key(id)) for id in ids])  # noqa: A001


def build_condition(event_filter: Filter) -> tuple[str, list[Any]]:
    """A filter as the condition of a query and its values."""
    tests = {
        "coalesce(time, stored_at) >= ?": event_filter.since,
        "coalesce(time, stored_at) < ?": event_filter.until,
        "seq <= ?": event_filter.last,
        "type = ?": event_filter.type,
        "source = ?": event_filter.source,
        "(replay IS NULL) = ?": event_filter.published,
        f"seq IN ({WITH_ID})": encode_ids(event_filter.ids) if event_filter.ids else None,
    }
    condition, values = _join_tests(tests)
    delivery_condition, delivery_values = _join_tests(
        {"delivery.route = ?": event_filter.route, "delivery.state = ?": event_filter.state}
    )
    if delivery_values:  # of one delivery, not of one for each
        condition += f" AND EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.seq AND {delivery_condition})"
    return condition, values + delivery_values


def _join_tests(tests: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The tests that have a value, as one condition."""
    used = {test: value for test, value in tests.items() if value is not None}
    return " AND ".join(used) or "1", [*used.values()]
