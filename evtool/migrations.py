"""Migrations: the tables of a store brought to the version that this evtool works with, in one transaction."""

from collections.abc import Mapping
from pathlib import Path

import apsw

from evtool.errors import StoreError

APPLICATION_ID = 0x65767431  # "evt1": tells a store of evtool from any other SQLite file
VERSION = 1  # of the tables; a store of a newer version is refused

# From a version to the next one: the statements that do it. A version that was released is never taken out, and
# store.sql always has the tables as they are after the last step.
STEPS: dict[int, str] = {}


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
            connection.execute((Path(__file__).parent / "store.sql").read_text(encoding="utf-8"))
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
