"""Migrations: the tables of a store brought to the version that this evtool works with, in one transaction."""

from collections.abc import Mapping
from pathlib import Path

import apsw

from evtool.errors import StoreError

APPLICATION_ID = 0x65767431  # "evt1": tells a store of evtool from any other SQLite file
VERSION = 1  # of the tables; a store of a newer version is refused

TABLES = Path(__file__).parent / "store.sql"

# From a version to the next one: the statements that do it. A version that was released is never taken out, and
# store.sql always has the tables as they are after the last step.
STEPS: dict[int, str] = {}


def shape(connection: apsw.Connection) -> set[tuple[object, ...]]:
    """What tables a store has, with columns, indexes and triggers; in whatever order they were added."""
    columns = (
        'SELECT t.name, c.name, c.type, c."notnull", c.pk FROM sqlite_schema AS t, pragma_table_info(t.name) AS c'
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
    )
    indexes = (
        "SELECT i.tbl_name, i.name, group_concat(coalesce(c.name, '?')) FROM sqlite_schema AS i,"
        " pragma_index_info(i.name) AS c WHERE i.type = 'index' GROUP BY 1, 2"
    )
    triggers = "SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'trigger'"
    return {*connection.execute(columns), *connection.execute(indexes), *connection.execute(triggers)}


def expected_shape() -> set[tuple[object, ...]]:
    """What a store of this version has."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(TABLES.read_text(encoding="utf-8"))
        return shape(connection)
    finally:
        connection.close()


def upgrade(connection: apsw.Connection, version: int | None = None, steps: Mapping[int, str] | None = None) -> None:
    """Makes the tables of an empty store, or brings older ones up to `version`: all of it, or nothing.

    Foreign keys must be off on the connection, so that a step may rebuild a table (https://sqlite.org/lang_altertable.html).
    Whoever comes second finds the work done. Raises StoreError when rows that belong together are torn apart.
    """
    wanted, steps = version or VERSION, STEPS if steps is None else steps
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.pragma("user_version")
        assert isinstance(found, int)
        if found == 0:
            connection.execute(TABLES.read_text(encoding="utf-8"))
            connection.pragma("application_id", APPLICATION_ID)
        for step in range(found or wanted, wanted):
            connection.execute(steps[step])
        if 0 < found < wanted and connection.execute("PRAGMA foreign_key_check").fetchall():
            raise StoreError(f"rows that belong together are not there: the store stays at version {found}")
        if found < wanted:
            connection.pragma("user_version", wanted)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
