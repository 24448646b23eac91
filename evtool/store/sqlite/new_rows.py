"""The columns of new events and deliveries, and the statements that insert them."""

from collections.abc import Sequence
from typing import NamedTuple


class EventRow(NamedTuple):
    """The columns of a new event. Tuples are bound faster than dicts, and every event goes through here."""

    key: int
    source: str
    id: str
    type: str
    time: int | None
    stored_at: int
    sha256: bytes
    raw: bytes
    root: int | None
    depth: int
    cause: int | None
    replay: str | None
    bus: str | None


class DeliveryRow(NamedTuple):
    """The columns of a new delivery."""

    event: int
    route: str
    handler: str
    replay: str
    state: str
    created: int
    due: int | None
    error: str | None
    condition: str | None


def _insert_statement(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"


INSERT_EVENT = _insert_statement("event", EventRow._fields)
INSERT_DELIVERY = f"{_insert_statement('delivery', DeliveryRow._fields)} ON CONFLICT DO NOTHING"
