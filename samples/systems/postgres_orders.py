"""The order database in PostgreSQL, at DATABASE_URL. The first access creates the table."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Json

from samples.handlers.storage import identity
from samples.systems.settings import read_url

# `json` stores the order unchanged, even a string that contains U+0000. `jsonb` does not.
TABLE = """CREATE TABLE IF NOT EXISTS shop_orders (
    order_id text PRIMARY KEY,
    event text NOT NULL,
    placed_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'placed',
    detail json NOT NULL
)"""
# A lock with the same number in all processes: without it, two that create the table at the same time can both fail.
CREATING = 20110


def place(event: dict[str, Any]) -> None:
    """Store an order once, even if its event arrives several times."""
    order = event["detail"]
    row = (order["orderId"], identity(event), event["time"], Json(order))
    with _connect() as connection:
        connection.execute(
            "INSERT INTO shop_orders (order_id, event, placed_at, detail) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (order_id) DO NOTHING",
            row,
        )


def set_status(order_id: str, status: str) -> None:
    """Set the state of an order: placed, paid or declined."""
    with _connect() as connection:
        connection.execute("UPDATE shop_orders SET status = %s WHERE order_id = %s", (status, order_id))


def find(order_id: str) -> dict[str, Any] | None:
    """Return the order as the customer placed it."""
    with _connect() as connection:
        row = connection.execute("SELECT detail FROM shop_orders WHERE order_id = %s", (order_id,)).fetchone()
    return None if row is None else row[0]


@contextmanager
def _connect() -> Iterator[psycopg.Connection[Any]]:
    """Run a transaction, and commit it at the end."""
    _create_table()
    with psycopg.connect(_url(), connect_timeout=5) as connection:
        yield connection


# Once in each process.
@cache
def _create_table() -> None:
    with psycopg.connect(_url(), connect_timeout=5) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (CREATING,))
        connection.execute(TABLE)


def _url() -> str:
    read_url("DATABASE_URL", "postgresql", "postgres")
    url = os.environ["DATABASE_URL"]
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The message of the library repeats a part of the URL, which may be the password.
        raise ValueError("DATABASE_URL has a parameter or an escape (%) that PostgreSQL does not know") from None
    return url
