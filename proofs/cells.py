"""Proof: whatever stands in a cell of the store, evtool works or says that it is damaged, and takes it for no bug."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw

from proofs.project import write
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
KEYS = {  # of the rows of each table
    "event": "seq",
    "delivery": "seq",
    "attempt": "delivery, number",
    "event_key": "merged, key, event",
    "sqlite_sequence": "rowid",
}
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
FOUND = (1, 4)  # exit codes of a doctor that finds damage, or cannot use the store at all


def prove(trial: Trial) -> Figures:
    """Puts odd values into single cells of a store, also where its tables would not take them; tries every command."""
    store = _stored(trial.folder)
    whole = store.read_bytes()
    codes, well = Counter[int](), 0
    cells = trial.size(400, 15)
    for _ in range(cells):
        cell = _changed(trial, store, whole)
        damaged = store.read_bytes()
        checked = _tried(trial.folder, store, damaged, "doctor", cell)
        well += checked.code == 0
        for command in COMMANDS:
            ended = _tried(trial.folder, store, damaged, command, cell)
            codes[ended.code] += 1
            told = f"{cell}, doctor ends with {checked.code}, and {command} with {ended.code}: {ended.errors}"
            hold(ended.code in (0, 1) or checked.code in FOUND, f"damage that the doctor does not find: {told}")
            hold(not command.startswith("backup") or (ended.code == 0) == (checked.code == 0), f"a copy: {told}")
    return {
        "cells": cells,
        "which no command can tell from others": well,
        "runs": sum(codes.values()),
        "told": codes[4],
    }


def _stored(folder: Path) -> Path:
    """A store with deliveries in all states, and all of it in one file."""
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    for name, words in (("first", ("publish",)), ("events", ("publish", "--no-deliver"))):
        events = [{"id": f"{name[0]}{number}", "source": "proof", "detail-type": "t"} for number in range(3)]
        lines = [json.dumps({**event, "detail": {"text": "x" * 200}}).encode() for event in events]
        ended = run(folder, *words, write(folder / f"{name}.jsonl", lines))
        hold(ended.code in (0, 1), f"exit code {ended.code}: {ended.errors}")
    store = folder / ".evtool/store.db"
    with _opened(store) as connection:
        connection.execute(
            "UPDATE delivery SET state = 'leased', owner = '1-gone', attempts = 1, due = 1 << 42"
            " WHERE seq = (SELECT max(seq) FROM delivery);"
            "INSERT INTO attempt (delivery, number, started) SELECT seq, 1, 1 FROM delivery WHERE state = 'leased'"
        )
        connection.pragma("journal_mode", "delete")
    return store


def _changed(trial: Trial, store: Path, whole: bytes) -> str:
    """Makes the file one in which a cell has another value, whatever its table says of it; which one."""
    changed = 0
    while True:
        _put(store, whole)
        with _opened(store) as connection, _loosened(connection):
            table, key = trial.random.choice([*KEYS.items()])
            column = trial.random.choice([row[1] for row in connection.execute(f"PRAGMA table_info({table})")])
            rows = connection.execute(f"SELECT count(*) FROM {table}").get
            row = f"({key}) IN (SELECT {key} FROM {table} LIMIT 1 OFFSET {trial.random.randrange(rows)})"
            odd = trial.random.choice(ODD).format(column)
            change = f"UPDATE OR IGNORE {table} SET {column} = {odd} WHERE {row} AND {column} IS NOT {odd}"
            with suppress(apsw.MismatchError):  # of a row's number: that is one in any table
                connection.execute(change)
                changed = connection.changes()
        if changed:
            return change


@contextmanager
def _opened(store: Path) -> Iterator[apsw.Connection]:
    """A connection that minds neither CHECKs nor references."""
    with closing(apsw.Connection(str(store))) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
        yield connection


@contextmanager
def _loosened(connection: apsw.Connection) -> Iterator[None]:
    """Tables that take any value in any column, as a flipped bit would put it there; afterwards they are as before."""
    rule = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
    made = connection.execute("SELECT sql, name FROM sqlite_schema WHERE sql LIKE '%STRICT%'").fetchall()
    loose = [(re.sub(r"NOT NULL(?!\))|\bSTRICT,?(?= W|$)", "", str(sql)), name) for sql, name in made]
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(rule, loose)
    connection.execute("PRAGMA writable_schema = RESET")
    yield
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(rule, made)


def _put(store: Path, content: bytes) -> None:
    """Makes the file what it was, with nothing beside it."""
    for old in store.parent.iterdir():
        old.unlink()
    store.write_bytes(content)
    store.chmod(0o600)  # the doctor minds that, too


def _tried(folder: Path, store: Path, content: bytes, command: str, cell: str) -> Ended:
    """How a command ends on a store with this content: in a way that is documented."""
    _put(store, content)
    ended = run(folder, *command.split(), patience=60)
    allowed = (0, 1, 2, 4) if "e1" in command else (0, 1, 4)  # 2: there is no such event
    hold(ended.code in allowed, f"{cell}: {command} ends with exit code {ended.code}: {ended.errors}")
    hold("Traceback" not in ended.errors, f"{cell}: {command}: {ended.errors}")
    return ended
