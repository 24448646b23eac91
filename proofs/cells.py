"""Proof: with any value in any cell of the store, every command works or reports damage, without a traceback.

Example: the proof sets `state` of one delivery to NULL, and then runs `doctor` and every other command on copies of
that file. A command may work only if it works as documented or if `doctor` reports the damage.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw

from proofs.project import write_events
from proofs.running import Ended, run
from proofs.trial import Figures, Trial, hold

ROUTES = """
version: 1
handlers:
  away: {command: [sh, -c, exit 75]}
  broken: {command: [sh, -c, exit 1]}
  emits: {python: "handlers.py:emits", isolation: none}
  nothing: {python: "handlers.py:nothing", isolation: none}
routes:
  all: {pattern: {source: [proof]}, to: [away, broken, emits], retry: {max_attempts: 1}}
  after: {pattern: {source: [emits]}, to: [nothing]}
"""
HANDLERS = """
def emits(event, context):
    context.emit("effect", {"of": event["id"]})

def nothing(event, context):
    pass
"""
# The columns that identify a row of each table.
KEYS = {
    "event": "seq",
    "delivery": "seq",
    "attempt": "delivery, number",
    "event_key": "merged, key, event",
    "sqlite_sequence": "rowid",
}
# SQL expressions; {0} is the name of the changed column.
ODD = ["NULL", "-1", "0", "1", "2", "7", "1.5", "1e300", "9223372036854775807", "-9223372036854775808", "1 << 60"]
ODD += ["'odd'", "''", "x''", "x'00'", "CAST(x'eb41' AS TEXT)", "'done'", "'dead'", "'ready'", "{0} + 1", "{0} - 1"]
COMMANDS = [
    "events",
    "events e1",
    "events --summary",
    "explain e1",
    "dlq list",
    "dlq show",
    "replay -v",
    "replay --deliver",
    "deliver",
    "publish events.jsonl",
    "dlq redrive",
    "dlq purge --all",
    "events prune --older-than 0s --state done --state dead",
    "backup copy.db --force",
]
# Exit codes of a doctor that finds damage, or that cannot use the store.
DAMAGED = (1, 4)


def prove(trial: Trial) -> Figures:
    """Puts odd values into single cells of a store, even values that its tables forbid, and tries every command."""
    store = _create_store(trial.folder)
    content = store.read_bytes()
    codes = Counter[int]()
    unnoticed = 0
    cells = trial.size(400, 15)
    for _ in range(cells):
        cell = _change_cell(trial, store, content)
        damaged = store.read_bytes()
        doctor = _run_on(trial.folder, store, damaged, "doctor", cell)
        is_sound = doctor.code == 0
        unnoticed += is_sound
        for command in COMMANDS:
            ended = _run_on(trial.folder, store, damaged, command, cell)
            codes[ended.code] += 1
            case = f"{cell}, doctor ends with {doctor.code}, and {command} with {ended.code}: {ended.errors}"
            hold(ended.code in (0, 1) or doctor.code in DAMAGED, f"damage that the doctor does not find: {case}")
            if command.startswith("backup"):
                hold((ended.code == 0) == is_sound, f"backup and doctor disagree: {case}")
    return {
        "cells": cells,
        "in which doctor finds nothing wrong": unnoticed,
        "runs": sum(codes.values()),
        "that reported damage": codes[4],
    }


def _create_store(folder: Path) -> Path:
    """Returns a store with deliveries in all states, in a single file without a WAL."""
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    for name, words in (("first", ("publish",)), ("events", ("publish", "--no-deliver"))):
        lines: list[bytes] = []
        for number in range(3):
            detail = {"text": "x" * 200}
            event = {"id": f"{name[0]}{number}", "source": "proof", "detail-type": "t", "detail": detail}
            lines.append(json.dumps(event).encode())
        ended = run(folder, *words, write_events(folder / f"{name}.jsonl", lines))
        hold(ended.code in (0, 1), f"exit code {ended.code}: {ended.errors}")
    store = folder / ".evtool/store.db"
    with _connect(store) as connection:
        # No command leaves a lease behind when it ends, so the lease of a killed process is written by hand.
        connection.execute(
            "UPDATE delivery SET state = 'leased', owner = '1-gone', attempts = 1, due = 1 << 42"
            " WHERE seq = (SELECT max(seq) FROM delivery);"
            "INSERT INTO attempt (delivery, number, started) SELECT seq, 1, 1 FROM delivery WHERE state = 'leased'"
        )
        connection.pragma("journal_mode", "delete")
    return store


def _change_cell(trial: Trial, store: Path, content: bytes) -> str:
    """Changes one cell of the file, even to a value that its table forbids. Returns the SQL of the change."""
    changed = 0
    while True:
        _replace(store, content)
        with _connect(store) as connection, _relaxed_tables(connection):
            table, key = trial.random.choice(list(KEYS.items()))
            column = trial.random.choice([row[1] for row in connection.execute(f"PRAGMA table_info({table})")])
            rows = connection.execute(f"SELECT count(*) FROM {table}").get
            row = f"({key}) IN (SELECT {key} FROM {table} LIMIT 1 OFFSET {trial.random.randrange(rows)})"
            odd = trial.random.choice(ODD).format(column)
            change = f"UPDATE OR IGNORE {table} SET {column} = {odd} WHERE {row} AND {column} IS NOT {odd}"
            # SQLite itself refuses a rowid that is not an integer, in every kind of table.
            with suppress(apsw.MismatchError):
                connection.execute(change)
                changed = connection.changes()
        if changed:
            return change


@contextmanager
def _connect(store: Path) -> Iterator[apsw.Connection]:
    """Opens a connection that enforces neither CHECK constraints nor foreign keys."""
    with closing(apsw.Connection(str(store))) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
        yield connection


@contextmanager
def _relaxed_tables(connection: apsw.Connection) -> Iterator[None]:
    """Inside, every column accepts every value, as a flipped bit could write it. Afterwards the tables are strict."""
    set_schema = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
    strict = connection.execute("SELECT sql, name FROM sqlite_schema WHERE sql LIKE '%STRICT%'").fetchall()
    relaxed: list[tuple[str, str]] = []
    for sql, name in strict:
        # "NOT NULL)" ends a CHECK constraint of the schema, which is no rule of a column.
        relaxed.append((re.sub(r"NOT NULL(?!\))|\bSTRICT,?(?= W|$)", "", str(sql)), str(name)))
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(set_schema, relaxed)
    connection.execute("PRAGMA writable_schema = RESET")
    yield
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(set_schema, strict)


def _replace(store: Path, content: bytes) -> None:
    """Writes the store's file and deletes everything else in its folder."""
    for old in store.parent.iterdir():
        old.unlink()
    store.write_bytes(content)
    # The doctor reports a store that others can read.
    store.chmod(0o600)


def _run_on(folder: Path, store: Path, content: bytes, command: str, cell: str) -> Ended:
    """Runs a command on a store with this content. Raises Broken unless the command ends as documented."""
    _replace(store, content)
    ended = run(folder, *command.split(), patience=60)
    allowed = [0, 1, 4]
    if "e1" in command:
        # The changed cell may be the id, and a command that names a missing event ends with 2.
        allowed.append(2)
    hold(ended.code in allowed, f"{cell}: {command} ends with exit code {ended.code}: {ended.errors}")
    hold("Traceback" not in ended.errors, f"{cell}: {command}: {ended.errors}")
    return ended
