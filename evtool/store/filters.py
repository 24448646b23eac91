"""Builds SQL conditions that select events, from a filter or from a list of ids."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evtool.store.rows import SOURCE_RANGE, Filter, compute_event_key

# The numbers of the events with some ids. The parameter is a JSON array of pairs of id and key (`encode_ids`). CROSS
# JOIN keeps the order of the tables, so that SQLite looks up the wanted keys instead of reading all of them.
WITH_ID = (
    "SELECT event.seq FROM json_each(?) AS wanted CROSS JOIN event_key ON event_key.merged IN (0, 1)"
    f" AND event_key.key BETWEEN wanted.value ->> 1 AND (wanted.value ->> 1) + {SOURCE_RANGE}"
    " JOIN event ON event.seq = event_key.event AND event.id = wanted.value ->> 0"
)


def encode_ids(ids: Sequence[str]) -> str | None:
    """Returns the parameter of WITH_ID; None for no ids, which selects all events."""
    if not ids:
        return None
    return json.dumps([(event_id, compute_event_key(event_id)) for event_id in ids])


def build_condition(event_filter: Filter) -> tuple[str, list[Any]]:
    """Returns a filter as the condition of a query, and the values of its parameters."""
    condition, values = join_tests(
        {
            "coalesce(time, stored_at) >= ?": event_filter.since,
            "coalesce(time, stored_at) < ?": event_filter.until,
            "seq <= ?": event_filter.last,
            "type = ?": event_filter.type,
            "source = ?": event_filter.source,
            "(replay IS NULL) = ?": event_filter.published,
            f"seq IN ({WITH_ID})": encode_ids(event_filter.ids),
        }
    )
    delivery_condition, delivery_values = join_tests(
        {"delivery.route = ?": event_filter.route, "delivery.state = ?": event_filter.state}
    )
    # One delivery must have both the route and the state, so both tests are in one subquery.
    if delivery_values:
        condition += f" AND EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.seq AND {delivery_condition})"
    return condition, values + delivery_values


def join_tests(tests: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Joins the tests whose values are not None into one condition, and returns it with these values."""
    used = {test: value for test, value in tests.items() if value is not None}
    return " AND ".join(used) or "1", list(used.values())
