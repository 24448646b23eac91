"""Creates the tables of a store, and migrates older tables to the current version in one transaction."""

import re
from collections.abc import Mapping
from pathlib import Path

import apsw

from evtool.errors import StoreError
from evtool.store.sqlite.side_files import randomize_schema_cookie

# "evt1": distinguishes a store of evtool from other SQLite files.
APPLICATION_ID = 0x65767431
# The version of the tables. A store of a newer version is refused.
VERSION = 3

TABLES_FILE = Path(__file__).parent / "tables.sql"

# The statements that migrate the tables of a version to the next one. A released version is never removed, and
# tables.sql always has the tables after the last step.
STEPS: dict[int, str] = {
    1: "CREATE TABLE project (routes_file BLOB NOT NULL) STRICT",
    2: "ALTER TABLE event ADD COLUMN bus TEXT",
}


def read_definitions(connection: apsw.Connection) -> set[tuple[str, str, str]]:
    """Returns the tables, indexes, triggers and views of a store: kind, name, and the statement that creates each.

    Statements are compared without layout, comments and quotes, since a migration may have written them differently.
    """
    definitions = set()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"):
        # SQLite creates tables of statistics by itself.
        if not str(name).startswith("sqlite_stat"):
            definitions.add((str(kind), str(name), _normalize_sql(str(sql))))
    return definitions


def _normalize_sql(sql: str) -> str:
    without_comments = re.sub(r"--[^\n]*|\"", "", sql)
    without_spaces = re.sub(r"\s*([(),])\s*", r"\1", without_comments)
    return re.sub(r"\s+", " ", without_spaces).strip()


def expected_definitions() -> set[tuple[str, str, str]]:
    """Returns the definitions of a store of this version."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(TABLES_FILE.read_text(encoding="utf-8"))
        return read_definitions(connection)
    finally:
        connection.close()


def upgrade(connection: apsw.Connection, version: int | None = None, steps: Mapping[int, str] | None = None) -> None:
    """Creates the tables of an empty store, or migrates older ones to `version`, in one transaction.

    Foreign keys must be off on the connection, so that a step may rebuild a table (https://sqlite.org/lang_altertable.html).
    If two processes migrate a store, the second one does nothing. Raises StoreError if a row refers to a missing row.
    """
    target_version = version or VERSION
    if steps is None:
        steps = STEPS
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
            raise StoreError(f"a row refers to a missing row: the store stays at version {current_version}")
        if current_version < target_version:
            connection.pragma("user_version", target_version)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
