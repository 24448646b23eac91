"""A damaged store in every command: the damage is reported, and the damaged data is not used."""

from pathlib import Path

import apsw
import pytest

from tests.conftest import Evtool

ROUTES = """
version: 1
handlers:
  away: {command: [sh, -c, exit 75]}
  broken: {command: [sh, -c, exit 1]}
  told: {command: [sh, -c, "cat >> called.txt"]}
routes:
  all:
    pattern: {source: [s]}
    to: [away, broken, told]
    retry: {max_attempts: 1}
"""
EVENTS = b"".join(
    b'{"version":"0","id":"%s","detail-type":"t","source":"%s","account":"1","time":"2026-11-23T10:00:00Z",'
    b'"region":"r","resources":[],"detail":{"total":100}}\n' % pair
    for pair in ((b"first", b"s"), (b"second", b"s"), (b"unrouted", b"elsewhere"))
)


@pytest.fixture
def file(evtool: Evtool, tmp_path: Path) -> Path:
    """A store with three events; the first has been delivered, as far as that is possible, the second has not."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    first, rest = EVENTS.split(b"\n", 1)
    assert evtool("publish", "-", stdin=first).code == 1
    assert evtool("publish", "-", "--no-deliver", stdin=rest).code == 0
    return tmp_path / ".evtool/store.db"


def changed(file: Path, *statements: str) -> None:
    """Changes a store in a way in which evtool never changes it."""
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def flip(file: Path, name: str) -> None:
    """Flips a bit so that the bytes are still an event."""
    changed(file, f"UPDATE event SET raw = CAST(replace(raw, ':100', ':101') AS BLOB) WHERE id = '{name}'")


@pytest.mark.parametrize(
    "words",
    [["deliver"], ["replay"], ["replay", "--deliver"], ["events"], ["events", "second"], ["explain", "second"]],
    ids=" ".join,
)
def test_an_event_with_changed_bytes_is_not_delivered(
    evtool: Evtool, tmp_path: Path, file: Path, words: list[str]
) -> None:
    """Exit code 4 and one line with the number of the event; no handler gets the event."""
    flip(file, "second")
    ran = evtool(*words)

    assert (ran.code, ran.err.count("\n")) == (4, 1), ran.err
    assert "the store is damaged (event number 2: its bytes " in ran.err
    assert "`evtool doctor` says where; restore a backup" in ran.err
    assert ":101" not in (tmp_path / "called.txt").read_text()


def test_a_dead_letter_whose_event_has_changed_is_not_shown(evtool: Evtool, file: Path) -> None:
    """The command would show something else than what was stored."""
    flip(file, "first")
    ran = evtool("dlq", "show")

    assert (ran.code, ran.out) == (4, ""), ran.err
    assert "event number 1: its bytes have sha256 " in ran.err


@pytest.mark.parametrize(
    ("statement", "words", "said"),
    [
        ("UPDATE event SET cause = 99 WHERE id = 'second'", ["events"], "delivery number 99 does not exist"),
        ("DELETE FROM event WHERE id = 'first'", ["dlq", "list"], "event number 1 does not exist"),
        ("UPDATE event SET stored_at = 1 << 60", ["events"], "event number 1: its time "),
        ("UPDATE delivery SET created = 1 << 60", ["dlq", "list"], "is outside the years 1 to 9999"),
        ("UPDATE delivery SET state = 'odd', due = NULL", ["events", "first"], "its state is 'odd'"),
        ("UPDATE delivery SET state = 'odd', due = NULL", ["events"], "are in the state 'odd'"),
        ("UPDATE delivery SET state = 'odd', due = NULL", ["events", "--summary"], "are in the state 'odd'"),
        ("DELETE FROM event WHERE id = 'second'", ["deliver"], "event number 2: its bytes are missing"),
        ("UPDATE attempt SET started = 1 << 60", ["events", "first"], "attempt 1: its number or its start 1152"),
        ("UPDATE attempt SET outcome = 'odd'", ["dlq", "show"], "number 2, attempt 1: its outcome is 'odd'"),
        (
            "INSERT INTO attempt (delivery, number, started) SELECT seq, 1, 0 FROM delivery WHERE attempts = 0",
            ["deliver"],
            "the store refuses a valid row (UNIQUE constraint failed",
        ),
        (
            "UPDATE event SET cause = 2 WHERE id = 'second'",
            ["dlq", "purge", "--all"],
            "the store refuses a valid row (FOREIGN KEY constraint failed",
        ),
        (
            "UPDATE event SET cause = 1 WHERE id = 'second';"
            " UPDATE delivery SET state = 'done', due = NULL, condition = NULL WHERE event = 1",
            ["events", "prune", "--older-than", "0s"],
            "the store refuses a valid row (FOREIGN KEY constraint failed",
        ),
        ("PRAGMA user_version = -1", ["events"], "the store is damaged: its version is -1"),
        ("PRAGMA user_version = 0", ["publish", "-"], "the store is damaged: its version is 0"),
        ("PRAGMA user_version = 0", ["doctor"], "the store is damaged: its version is 0"),
        (
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '''ready''', '''reedy''')",
            ["dlq", "redrive"],
            "the store refuses a valid row (CHECK constraint failed",
        ),
    ],
)
def test_commands_report_damage_as_exit_code_4_not_as_a_bug(
    evtool: Evtool, file: Path, statement: str, words: list[str], said: str
) -> None:
    """One line names the damage."""
    changed(file, statement)
    assert evtool("doctor").code in (1, 4)
    ran = evtool(*words, stdin=EVENTS)

    assert (ran.code, ran.err.count("\n")) == (4, 1), ran.err
    assert said in ran.err
