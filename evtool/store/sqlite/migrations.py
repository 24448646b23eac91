"""Creates the tables of a store, and migrates older tables to the current version in one transaction."""

import re
from collections.abc import Mapping
from pathlib import Path

import apsw

from evtool.errors import StoreError
from evtool.store.sqlite.side_files import randomize_schema_cookie

APPLICATION_ID = 0x65767431  # "evt1": tells a store of evtool from any other SQLite file
VERSION = 3  # of the tables; a store of a newer version is refused

TABLES_FILE = Path(__file__).parent / "tables.sql"

# From a version to the next one: the statements that do it. A version that was released is never taken out, and
# tables.sql always has the tables as they are after the last step.
STEPS: dict[int, str] = {
    1: "CREATE TABLE project (routes_file BLOB NOT NULL) STRICT",
    2: "ALTER TABLE event ADD COLUMN bus TEXT",
}


def read_definitions(connection: apsw.Connection) -> set[tuple[str, str, str]]:
    """The tables, indexes, triggers and views of a store: kind, name, and the statement that makes it.

    How a statement is laid out does not count, nor do comments and quotes: a step may have written it.
    """
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {
        (str(kind), str(name), _normalize_sql(str(sql)))
        for kind, name, sql in rows
        if not str(name).startswith("sqlite_stat")
    }


def _normalize_sql(sql: str) -> str:
    """A statement without what means nothing."""
    return re.sub(r"\s+", " ", re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"--[^\n]*|\"", "", sql))).strip()


def expected_definitions() -> set[tuple[str, str, str]]:
    """What a store of this version has."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(TABLES_FILE.read_text(encoding="utf-8"))
        return read_definitions(connection)
    finally:
        connection.close()


def upgrade(connection: apsw.Connection, version: int | None = None, steps: Mapping[int, str] | None = None) -> None:
    """Makes the tables of an empty store, or brings older ones up to `version`: all of it, or nothing.

    Foreign keys must be off on the connection, so that a step may rebuild a table (https://sqlite.org/lang_altertable.html).
    Whoever comes second finds the work done. Raises StoreError when rows that belong together are torn apart.
    """
    target_version, steps = version or VERSION, STEPS if steps is None else steps
    connection.execute("BEGIN IMMEDIATE")
    try:
        current_version = connection.pragma("user_version")
        assert isinstance(current_version, int)
        if current_version == 0:
            connection.execute(TABLES_FILE.read_text(encoding="utf-8"))
            connection.pragma("application_id", APPLICATION_ID)
            randomize_schema_cookie(connection)
        for step in range(current_version or target_version, target_version):
            connection.execute(steps[step])
        if 0 < current_version < target_version and connection.execute("PRAGMA foreign_key_check").fetchall():
            raise StoreError(f"rows that belong together are not there: the store stays at version {current_version}")
        if current_version < target_version:
            connection.pragma("user_version", target_version)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
