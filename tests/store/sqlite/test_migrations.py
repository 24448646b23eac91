"""Stores of other versions: each opens with all its data, and a migration is atomic."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from evtool.errors import StoreError
from evtool.store.integrity import check_store
from evtool.store.sqlite.migrations import STEPS, VERSION, expected_definitions, read_definitions, upgrade
from evtool.store.store import Store
from tests.conftest import ROOT, Evtool

RELEASED = sorted((ROOT / "tests/cases").glob("store-*.sql"))
ADD_NOTE = "ALTER TABLE event ADD COLUMN note TEXT; UPDATE event SET note = 'from ' || source"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of version 1."""
    return made(tmp_path / "store.db", ROOT / "tests/cases/store-1.sql")


def made(file: Path, text: Path) -> Path:
    """A store out of the text of one."""
    connection = apsw.Connection(str(file))
    connection.execute(text.read_text(encoding="utf-8"))
    connection.close()
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("text", RELEASED, ids=lambda text: text.stem)
def test_a_store_of_every_version_opens(evtool: Evtool, tmp_path: Path, text: Path) -> None:
    """Afterwards it has the tables of this version, `doctor` finds no problem, and no data is lost."""
    file = made(tmp_path / "store.db", text)
    events = evtool("events", "--store", file, "-o", "json").json["events"]
    [letter] = evtool("dlq", "show", "--store", file, "-o", "json").json["deliveries"]
    [paid] = evtool("events", "payment-1", "--store", file, "-o", "json").json["deliveries"]

    assert [event["id"] for event in events] == ["order-1", "payment-1", "cart-1"]
    bus = "default" if text.stem in ("store-1", "store-2") else "orders"
    assert [event["bus"] for event in events] == [bus, bus, "default"]
    assert [event["states"] for event in events] == [
        {"dead": 1, "done": 1, "ready": 2, "waiting": 1},
        {"leased": 1},
        {},
    ]
    assert (letter["event"], letter["condition"], letter["history"][0]["code"]) == (
        "order-1",
        "MaximumRetryAttempts",
        "3",
    )
    assert paid["history"][0]["outcome"] is None
    with Store(file) as store:
        assert read_definitions(store.connection) == expected_definitions()
        assert store.execute("PRAGMA user_version") == [(VERSION,)]
        assert list(check_store(store)) == []
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    assert evtool("deliver", "--store", file).code in (0, 1)


def test_every_released_version_has_a_migration_and_a_test_store() -> None:
    assert sorted(STEPS) == list(range(1, VERSION))
    assert [text.stem for text in RELEASED] == [f"store-{version}" for version in range(1, VERSION + 1)]


def version(file: Path) -> tuple[object, bool]:
    """Returns the version of the tables, and whether the migration of the test has run."""
    connection = apsw.Connection(str(file))
    columns = {row[1] for row in connection.execute("PRAGMA table_info(event)")}
    found = connection.pragma("user_version")
    connection.close()
    return found, "note" in columns


def test_a_migration_happens_whole(old: Path) -> None:
    """The steps are taken in order, each once, and the version is that of the last."""
    connection = apsw.Connection(str(old))
    steps = {1: ADD_NOTE, 2: "UPDATE event SET note = note || '!'"}
    upgrade(connection, 3, steps)
    upgrade(connection, 3, steps)

    assert connection.execute("SELECT DISTINCT note FROM event WHERE id = 'cart-1'").get == "from shop.cart!"
    assert version(old) == (3, True)


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ("UPDATE event SET nothing = 1", apsw.SQLError),
        ("DELETE FROM event WHERE id = 'order-1'", StoreError),
        ("UPDATE event SET source = NULL", apsw.ConstraintError),
    ],
)
def test_a_failed_migration_changes_nothing(evtool: Evtool, old: Path, last: str, error: type[Exception]) -> None:
    """It fails in the second of two steps, or at their end. The store still works."""
    connection = apsw.Connection(str(old))
    with pytest.raises(error):
        upgrade(connection, 3, {1: ADD_NOTE, 2: last})
    connection.close()

    assert version(old) == (1, False)
    assert evtool("events", "--store", old).code == 0
    assert evtool("doctor", "--store", old).code == 0


MIGRATING = f"""
import sys
from pathlib import Path
from evtool.store.sqlite import database
from evtool.store.sqlite import migrations
from evtool.store.sqlite import connection
connection.VERSION = migrations.VERSION = 2  # its step is another one here
migrations.STEPS[1] = {ADD_NOTE!r}
sys.stdout.write("begun\\n"); sys.stdout.flush(); sys.stdin.readline()
database.Database(Path(sys.argv[1])).close()
"""


def migrating(file: Path) -> "subprocess.Popen[bytes]":
    """Runs a process of a newer evtool that is about to open the store."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", MIGRATING, str(file)]
    process = subprocess.Popen(arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    return process


def test_concurrent_processes_migrate_once(old: Path) -> None:
    """Each process either migrates or finds the migrated store. A second run of the step would fail."""
    processes = [migrating(old) for _ in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()

    assert [process.communicate(timeout=60) and process.returncode for process in processes] == [0] * 4
    assert version(old) == (2, True)


def test_a_kill_in_a_migration_leaves_the_old_or_the_new(old: Path, tmp_path: Path) -> None:
    """After kill -9 at any moment the version and the tables fit each other, and the store can be opened."""
    content = old.read_bytes()
    seen = set()
    for pause in range(12):
        old.write_bytes(content)
        process = migrating(old)
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
        try:
            process.wait(timeout=0.002 * pause)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        seen.add(version(old))
        for beside in tmp_path.glob("store.db-*"):
            beside.unlink()
    assert seen <= {(1, False), (2, True)}


def test_a_store_that_was_migrated_is_too_new_for_an_older_evtool(evtool: Evtool, old: Path) -> None:
    """It is refused by name and left alone."""
    connection = apsw.Connection(str(old))
    upgrade(connection, VERSION + 1, dict.fromkeys(range(1, VERSION + 1), ""))
    connection.close()
    before = old.read_bytes()

    for command in ("events", "doctor"):
        ran = evtool(command, "--store", old)
        assert (ran.code, ran.err.count("\n")) == (4, 1)
        assert f"a newer evtool made this store (version {VERSION + 1}, this one reads {VERSION}); update" in ran.err
    assert old.read_bytes() == before
