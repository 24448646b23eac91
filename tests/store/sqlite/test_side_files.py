"""Side files of SQLite that belong to another store: refused before anything is written. All others do no harm."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from evtool.errors import StoreError
from evtool.events.envelopes import build_envelope, parse_event
from evtool.store.backup import backup
from evtool.store.integrity import check_store
from evtool.store.rows import NewDelivery
from evtool.store.sqlite.side_files import find_foreign_file
from evtool.store.store import Store
from tests.conftest import ROOT, Evtool

INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from evtool.store.sqlite import wal
from tests.store.sqlite.test_side_files import insert
from evtool.store.store import Store

file, mode, *names = sys.argv[1:]
wal.is_wal_safe = lambda _: mode == "wal"
store = Store(Path(file))
for name in names:
    insert(store, name)
if mode == "journal":
    store.execute("BEGIN IMMEDIATE")
    for number in range(20):
        insert(store, f"lost-{number}")
    store.connection.cache_flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the tests counts as a local one."""
    monkeypatch.setattr("evtool.store.sqlite.wal.NETWORK_DISKS", ())


def insert(store: Store, name: str) -> None:
    """Stores an event with this id, and a delivery."""
    raw = build_envelope(b'{"x": "%s"}' % (b"y" * 500), type="t", source="s", id=name, time="2026-01-01T00:00:00Z")
    store.insert(parse_event(raw), [NewDelivery("r", "h")], now=0)


def write(file: Path, *names: str) -> Path:
    """Stores events and closes the store."""
    with Store(file) as store:
        for name in names:
            insert(store, name)
    return file


def interrupt(file: Path, *names: str, mode: str = "wal") -> Path:
    """Stores events in a process that is killed: the -wal stays, or in mode `journal` the -journal of a transaction."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", INTERRUPTED, str(file), mode, *names], env=environment)
    assert killed.returncode == -signal.SIGKILL
    return file


def ids(file: Path) -> list[str]:
    """The events of a store that has no damage."""
    with Store(file) as store:
        assert [finding for finding in check_store(store) if finding.severity == "error"] == []
        return [event.id for event in store.read_events()]


def beside(file: Path, other: Path, suffix: str = "-wal") -> Path:
    """Copies a side file of another store to this store."""
    for name in ("-wal", "-shm", "-journal"):
        Path(f"{file}{name}").unlink(missing_ok=True)
    shutil.copy(f"{other}{suffix}", f"{file}{suffix}")
    return file


def copied(file: Path, name: str) -> Path:
    """A backup of a store."""
    with Store(file, writing=False) as store:
        backup(store, file.with_name(name))
    return file.with_name(name)


def is_refused(file: Path, suffix: str) -> bool:
    """Returns whether readers and writers refuse the store with the name of the side file, and leave it unchanged."""
    before = {path: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}
    for writing in (True, False):
        with pytest.raises(StoreError, match=f"the {file.name}{suffix} beside it belongs to another store"):
            Store(file, writing=writing)
    return before == {path: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}


# --- refused ---------------------------------------------------------------------------------------------------------


def test_a_backup_with_an_old_wal_is_refused_by_every_command(evtool: Evtool, tmp_path: Path) -> None:
    """Exit code 4, one line with the remedy, and no change. Without the old files the backup works."""
    file = write(tmp_path / "store.db", "first")
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    (tmp_path / "event.json").write_bytes(
        build_envelope(b"{}", type="t", source="s", id="new", time="2026-01-01T00:00:00Z")
    )
    copy = copied(file, "copy.db")
    interrupt(file, "second")
    shutil.copy(copy, file)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    for words in (
        ["events"],
        ["events", "first"],
        ["events", "prune", "--older-than", "1d"],
        ["publish", "event.json"],
        ["deliver"],
        ["replay"],
        ["explain", "first"],
        ["dlq", "list"],
        ["dlq", "purge", "--all"],
        ["doctor"],
        ["backup", "other.db"],
    ):
        ran = evtool(*words, "--store", file)
        assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1), (words, ran.err)
        assert "If store.db was restored or copied, move store.db-wal and store.db-shm to another folder" in ran.err
        assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    (tmp_path / "away").mkdir()
    for name in ("store.db-wal", "store.db-shm"):
        (tmp_path / name).rename(tmp_path / "away" / name)
    assert ids(file) == ["first"]


def test_a_wal_of_another_store_is_refused(tmp_path: Path) -> None:
    """Also if the two stores have the same number of events from the same commands."""
    for sessions in (1, 2):
        for other_sessions in (0, 1, 2):
            one, other = (tmp_path / f"{sessions}-{other_sessions}/{name}/store.db" for name in ("one", "other"))
            for number in range(sessions):
                write(one, f"{number}")
            for number in range(other_sessions):
                write(other, f"{number}")
            assert is_refused(beside(one, interrupt(other, "last")), "-wal"), (sessions, other_sessions)


def test_a_wal_that_only_changes_rows_is_refused(tmp_path: Path) -> None:
    """The other store did not grow: its page 1 is in the WAL nevertheless."""
    one, other = write(tmp_path / "one.db", "a"), write(tmp_path / "other.db", "a")
    with Store(other) as store:
        with store.transaction():
            store.execute("UPDATE delivery SET due = due + 1")
        beside(one, other)
    assert is_refused(one, "-wal")


def test_an_earlier_copy_of_the_file_is_refused_with_a_later_wal(tmp_path: Path) -> None:
    """The copy was made with cp before the last checkpoint."""
    file = write(tmp_path / "store.db", "first")
    early = shutil.copy(file, tmp_path / "early.db")
    write(file, "second")
    interrupt(file, "third")
    assert is_refused(beside(Path(early), file), "-wal")
    assert ids(file) == ["first", "second", "third"]


def test_a_wal_with_other_pages_is_refused(tmp_path: Path) -> None:
    """A WAL of a database with another page size, of any program."""
    connection = apsw.Connection(str(tmp_path / "other.db"))
    connection.pragma("page_size", 1024)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE theirs (x)")
    assert is_refused(beside(write(tmp_path / "store.db", "a"), tmp_path / "other.db"), "-wal")


@pytest.mark.parametrize("mode", ["wal", "backup", "journal"])
def test_a_journal_of_another_store_is_refused(tmp_path: Path, mode: str) -> None:
    """With a store in WAL mode, with a backup, and with a store that has a rollback journal itself."""
    other = interrupt(tmp_path / "other.db", "a", "b", mode="journal")
    file = write(tmp_path / "store.db", "a", "b") if mode != "journal" else tmp_path / "store.db"
    if mode == "journal":
        interrupt(file, "a", "b", mode=mode)
    if mode == "backup":
        file = copied(file, "copy.db")
    assert is_refused(beside(file, other, "-journal"), "-journal")
    assert ids(other) == ["a", "b"]


# --- not refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sessions", [0, 1, 3])
@pytest.mark.parametrize("mode", ["wal", "journal"])
def test_the_store_of_a_killed_process_opens(
    tmp_path: Path, sessions: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All commits are there, in both journal modes, also if a second process was killed."""
    file = tmp_path / "store.db"
    monkeypatch.setattr("evtool.store.sqlite.wal.is_wal_safe", lambda _: mode == "wal")
    for number in range(sessions):
        write(file, f"{number}")
    interrupt(file, "one", mode=mode)
    interrupt(file, "two", mode=mode)
    assert ids(file) == [*map(str, range(sessions)), "one", "two"]


def test_a_store_opens_while_checkpoints_are_made(tmp_path: Path) -> None:
    """The file has pages of the -wal already, of the middle and of its end; then the -wal begins again."""
    with Store(tmp_path / "store.db") as store:
        for number in range(60):
            insert(store, f"{number}")
            if number % 7 == 3:
                store.connection.wal_checkpoint()
            assert find_foreign_file(store.file) is None
            with Store(store.file) as other:
                if number % 5 == 2:
                    insert(other, f"other {number}")
    assert len(ids(tmp_path / "store.db")) == 72


def test_an_interrupted_checkpoint_is_accepted(tmp_path: Path) -> None:
    """Copies of the file and the WAL from any time of one WAL belong together."""
    file = tmp_path / "store.db"
    with Store(file) as store:
        for number in range(20):
            insert(store, f"{number}")
            copy = shutil.copy(file, tmp_path / f"{number}.db")
            if number == 10:
                store.connection.wal_checkpoint()
        for number in range(11, 20):
            insert(store, f"more {number}")
            shutil.copy(f"{file}-wal", f"{tmp_path / str(number)}.db-wal")
    for number in range(11, 20):
        copy = tmp_path / f"{number}.db"
        assert find_foreign_file(copy) is None
        assert len(ids(copy)) == 20 + number - 10


@pytest.mark.parametrize("content", [b"", bytes(600_000), b"what was committed last"])
def test_a_wal_without_a_page_is_accepted(tmp_path: Path, content: bytes) -> None:
    """An empty WAL, zeros, and an incomplete header."""
    file = write(tmp_path / "store.db", "first")
    Path(f"{file}-wal").write_bytes(content)
    assert ids(file) == ["first"]


def test_an_empty_wal_with_a_backup_is_accepted(tmp_path: Path) -> None:
    """Readers leave one."""
    copy = copied(write(tmp_path / "store.db", "first"), "copy.db")
    Path(f"{copy}-wal").touch()
    assert ids(copy) == ["first"]


def test_a_shm_alone_is_accepted(tmp_path: Path) -> None:
    """SQLite rebuilds it."""
    other = interrupt(tmp_path / "other.db", "a")
    file = write(tmp_path / "store.db", "first")
    for path in (file, copied(file, "copy.db")):
        assert ids(beside(path, other, "-shm")) == ["first"]


def test_an_interrupted_change_of_the_journal_mode_is_accepted(tmp_path: Path) -> None:
    """Its -journal has page 1, and the file may have the old mode or the new one."""
    for mode, target in (("delete", "wal"), ("wal", "delete")):
        file = write(tmp_path / f"{mode}.db", "first")
        connection = apsw.Connection(str(file))
        connection.pragma("journal_mode", mode)
        connection.pragma("journal_mode", "persist") if mode == "delete" else None
        before = file.read_bytes()
        connection.pragma("journal_mode", target)
        connection.close()
        page, size = before[:4096], len(before) // 4096
        head = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"".join(n.to_bytes(4) for n in (1, 0, size, 512, 4096))
        nonce_sum = sum(page[offset] for offset in range(4096 - 200, 0, -200)).to_bytes(4)
        journal = head.ljust(512, b"\0") + (1).to_bytes(4) + page + nonce_sum
        for content in (before, file.read_bytes()):
            file.write_bytes(content)
            Path(f"{file}-wal").unlink(missing_ok=True)
            Path(f"{file}-journal").write_bytes(journal)
            assert find_foreign_file(file) is None
            assert ids(file) == ["first"]


def test_the_check_keeps_the_locks_of_this_process(tmp_path: Path) -> None:
    """Another connection of the same process may be in a transaction."""
    file = write(tmp_path / "store.db", "first")
    with Store(file) as store, store.transaction():
        insert(store, "second")
        assert find_foreign_file(file) is None
        code = "import apsw, sys; apsw.Connection(sys.argv[1]).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
        assert "BusyError" in other.stderr
