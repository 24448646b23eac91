"""Connections to the store's file: permissions, durability, refused files, transactions and locks."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from evtool.errors import DamageError, StoreError
from evtool.store.sqlite.database import Database
from evtool.store.sqlite.migrations import VERSION
from evtool.store.sqlite.wal import choose_journal, detect_file_system, is_wal_safe
from tests.conftest import ROOT

INSERT = (
    "INSERT INTO event (key, id, source, type, stored_at, sha256, raw, depth)"
    " VALUES (?, ?, 's', 't', 0, x'00', x'7b7d', 0)"
)


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treats the disk of the tests as a local disk, on any machine."""
    monkeypatch.setattr("evtool.store.sqlite.wal.NETWORK_DISKS", ())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Creates the file of a store, and closes it."""
    Database(tmp_path / "deep/folder/store.db").close()
    return tmp_path / "deep/folder/store.db"


@pytest.fixture
def opened(file: Path) -> Iterator[Database]:
    """Opens the same store for writing."""
    with Database(file) as database:
        yield database


def ids(database: Database) -> list[str]:
    """Returns the ids of the stored events."""
    return [name for (name,) in database.execute("SELECT id FROM event ORDER BY id")]


def mode(path: Path) -> int:
    """Returns the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


# --- how it is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 54, 1), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_safe_in_sqlite_versions_without_the_reset_bug(version: tuple[int, int, int], safe: bool) -> None:
    """SQLite 3.7.0 to 3.51.2 can damage a store in WAL mode, except the branches that got the fix."""
    assert is_wal_safe(version) is safe


def test_the_file_system_of_a_path_is_detected() -> None:
    """The name is the one in /proc/self/mounts, also for a path that does not exist."""
    mounts = [line.split(" ")[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    wanted = {mount: kind for mount, kind in mounts if "\\" not in mount}

    assert {mount: detect_file_system(Path(mount)) for mount in wanted} == wanted
    assert {mount: detect_file_system(Path(mount, "not", "there")) for mount in wanted} == wanted


def test_the_last_mounted_file_system_of_a_folder_is_detected(tmp_path: Path) -> None:
    """The folder has a space in its name."""
    (tmp_path / "my disk").mkdir()
    mount = 'mount -t tmpfs a "my disk" && mount -t ramfs b "my disk"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    code = "import sys, pathlib, evtool.store.sqlite.wal as d; print(d.detect_file_system(pathlib.Path(sys.argv[1])))"
    asked = [sys.executable, "-c", code, str(tmp_path / "my disk/store.db")]
    told = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", *asked],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert (told.stdout, told.stderr) == ("ramfs\n", "")


def test_the_file_is_private_and_commits_are_durable(file: Path, opened: Database) -> None:
    """The mode is 0600 in a folder with 0700, also for the WAL. The application id is that of evtool."""
    with opened.transaction():
        opened.execute(INSERT, 1, "one")

    assert {mode(each) for each in file.parent.iterdir()} == {0o600}
    assert mode(file.parent) == 0o700
    asked = ("journal_mode", "synchronous", "application_id", "user_version")
    assert [opened.connection.pragma(name) for name in asked] == ["wal", 2, 0x65767431, VERSION]
    strict = "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name IN ('event', 'delivery', 'attempt')"
    assert opened.execute(strict) == [(1,)] * 3


def test_an_existing_store_keeps_its_permissions(file: Path, tmp_path: Path) -> None:
    """Several users may share a store. An empty file becomes a private store."""
    empty = tmp_path / "empty.db"
    for path in (empty, file):
        path.touch()
        path.chmod(0o640)
        Database(path).close()

    assert (mode(empty), mode(file)) == (0o600, 0o640)


def test_an_unsafe_wal_is_replaced_by_a_rollback_journal(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal changes when a store moves to a network disk or to an older SQLite, and changes back later."""
    version, disk = apsw.sqlite_lib_version(), detect_file_system(file)
    usual = ("wal", f"SQLite {version} has no WAL-reset bug, the disk is local")
    for name, value, wanted in (
        ("NETWORK_DISKS", (disk,), ("delete", f"the disk is a network disk ({disk})")),
        ("NETWORK_DISKS", (), usual),
        ("is_wal_safe", lambda _: False, ("delete", f"SQLite {version} has the WAL-reset bug")),
        ("is_wal_safe", lambda _: True, usual),
    ):
        monkeypatch.setattr(f"evtool.store.sqlite.wal.{name}", value)
        with Database(file) as opened:
            kept = [opened.connection.pragma(name) for name in ("journal_mode", "synchronous")]
        assert choose_journal(file.parent) == wanted
        assert kept == [wanted[0], {"wal": 2, "delete": 3}[wanted[0]]]


def test_code_in_the_schema_of_a_file_is_not_trusted(opened: Database) -> None:
    """The settings are those that SQLite recommends for untrusted files (https://sqlite.org/security.html)."""
    assert [opened.connection.pragma(name) for name in ("trusted_schema", "cell_size_check")] == [0, 1]


def test_a_delivery_without_its_event_is_refused(opened: Database) -> None:
    """Foreign keys are enforced."""
    columns = "event, route, handler, replay, state, created, due"
    with pytest.raises(DamageError, match="FOREIGN KEY"), opened.transaction():
        opened.execute(f"INSERT INTO delivery ({columns}) VALUES (99, 'r', 'h', '', 'ready', 0, 0)")


def test_the_file_can_shrink(opened: Database) -> None:
    """A new store has incremental vacuum. Without it, only a rewrite of the whole file could enable it later."""
    assert opened.connection.pragma("auto_vacuum") == 2


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_a_store_is_refused_and_unchanged(tmp_path: Path) -> None:
    """The message distinguishes a foreign database, a text file, a newer store, missing tables and a folder."""
    foreign, newer, emptied = (tmp_path / name for name in ("foreign.db", "newer.db", "emptied.db"))
    apsw.Connection(str(foreign)).execute("CREATE TABLE theirs (x)")
    for path, change in ((newer, f"PRAGMA user_version = {VERSION + 1}"), (emptied, "DROP TABLE attempt")):
        Database(path).close()
        connection = apsw.Connection(str(path))
        connection.execute(change)
        connection.close()
    text = tmp_path / "text.db"
    text.write_text("this is no database at all, but a text that is long enough to be taken for a header of one\n" * 20)

    for path, said in (
        (foreign, "not a store"),
        (newer, "a newer evtool"),
        (emptied, "its tables are missing"),
        (text, "not a store"),
        (tmp_path, "a folder"),
    ):
        before = path.read_bytes() if path.is_file() else b""
        for writing in (True, False):
            with pytest.raises(StoreError, match=said):
                Database(path, writing=writing)
        assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_reader_changes_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader neither creates nor migrates a store."""
    with Database(file, writing=False) as reader:
        assert ids(reader) == []
        with pytest.raises(StoreError, match="read-only"):
            reader.execute(INSERT, 1, "one")
    with pytest.raises(StoreError):
        Database(tmp_path / "none/store.db", writing=False)
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match="the file is empty"):
        Database(tmp_path / "empty.db", writing=False)
    assert (tmp_path / "empty.db").stat().st_size == 0
    monkeypatch.setattr("evtool.store.sqlite.connection.VERSION", VERSION + 1)
    with pytest.raises(StoreError, match="an older evtool made this store"):
        Database(file, writing=False)


# --- transactions ----------------------------------------------------------------------------------------------------


def broken_off(database: Database, statement: str, *values: object) -> None:
    """Raises KeyError in a transaction after its statement."""
    with database.transaction():
        with database.transaction():
            database.execute(statement, *values)
        raise KeyError


def test_a_transaction_is_atomic(opened: Database, file: Path) -> None:
    """Another connection sees its rows only after the commit, and never sees those of a failed transaction."""
    with Database(file) as other:
        with opened.transaction(), opened.transaction():
            opened.execute(INSERT, 1, "one")
            assert ids(other) == []
        assert ids(other) == ["one"]
        with pytest.raises(KeyError):
            broken_off(opened, INSERT, 2, "two")
        with opened.transaction():
            opened.execute(INSERT, 3, "three")
        assert ids(other) == ["one", "three"]


def test_a_failed_transaction_raises_its_own_error(opened: Database) -> None:
    """Also if SQLite has rolled back by itself, as on a full disk."""
    with pytest.raises(KeyError):
        broken_off(opened, "ROLLBACK")
    with opened.transaction():
        opened.execute(INSERT, 1, "one")

    assert ids(opened) == ["one"]


def test_a_reading_transaction_sees_one_snapshot(opened: Database, file: Path) -> None:
    """Another connection can commit during the transaction, which does not see that commit."""
    with Database(file) as other, opened.transaction("DEFERRED"):
        assert ids(opened) == []
        with other.transaction():
            other.execute(INSERT, 1, "one")
        assert ids(opened) == []
    assert ids(opened) == ["one"]


def test_execute_many_returns_the_rows_of_all_values(opened: Database) -> None:
    """The rows are in the order of the values."""
    with opened.transaction():
        assert opened.execute_many(f"{INSERT} RETURNING id", [(1, "one"), (2, "two")]) == [("one",), ("two",)]
    assert opened.execute("SELECT id FROM event WHERE key = :key", key=2) == [("two",)]


def test_a_missing_table_is_reported_as_damage(opened: Database) -> None:
    """Also by a statement that is executed for many values."""
    for broken in (
        lambda: opened.execute("SELECT 1 FROM gone"),
        lambda: opened.execute_many("DELETE FROM gone WHERE x = ?", [(1,)]),
    ):
        with pytest.raises(StoreError, match="the store is damaged"):
            broken()


# --- others that use it ----------------------------------------------------------------------------------------------


def test_closing_the_last_connection_removes_the_wal(file: Path) -> None:
    """The connection cannot be used afterwards."""
    with Database(file) as opened:
        with opened.transaction():
            opened.execute(INSERT, 1, "one")
        assert len(list(file.parent.iterdir())) > 1

    assert [path.name for path in file.parent.iterdir()] == ["store.db"]
    with pytest.raises(apsw.ConnectionClosedError):
        opened.execute("SELECT 1")


def test_a_store_can_be_read_during_a_write(opened: Database, file: Path) -> None:
    """Opening needs no lock. A second writer waits for `busy_timeout`, then the error names the lock."""
    with opened.transaction():
        opened.execute(INSERT, 1, "one")
        with Database(file, busy_timeout=0.0) as other:
            assert ids(other) == []
            with pytest.raises(StoreError, match="another process has kept the store locked for 0 s"):
                other.execute("BEGIN IMMEDIATE")


def test_a_writer_waits_for_the_lock(opened: Database, file: Path) -> None:
    """It continues when the other writer has committed."""
    waits, free = threading.Event(), threading.Event()

    def write() -> None:
        with Database(file) as other:
            waits.set()
            with other.transaction():
                other.execute(INSERT, 2, "two")
        free.set()

    with opened.transaction():
        opened.execute(INSERT, 1, "one")
        threading.Thread(target=write).start()
        waits.wait(30)
        assert not free.wait(0.05)
    assert free.wait(30)
    assert ids(opened) == ["one", "two"]


def test_a_signal_ends_the_wait_for_a_lock(opened: Database, file: Path) -> None:
    """Ctrl-C does not wait for the timeout of half a minute."""

    def wait(other: Database) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        other.execute("BEGIN IMMEDIATE")

    with opened.transaction(), Database(file) as other, pytest.raises(KeyboardInterrupt):
        wait(other)


def test_a_change_of_the_journal_mode_waits_for_the_lock(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself does not wait there, so evtool tries again until the timeout."""
    holder = Database(file)
    monkeypatch.setattr("evtool.store.sqlite.wal.NETWORK_DISKS", (detect_file_system(file),))
    with pytest.raises(StoreError, match=r"has kept the store locked for 0\.05 s"):
        Database(file, busy_timeout=0.05)
    closing = threading.Timer(0.05, holder.close)
    closing.start()
    with Database(file) as opened:
        assert opened.connection.pragma("journal_mode") == "delete"
    closing.join()


def replaced(file: Path) -> None:
    """Puts another store in the place of the one in use."""
    for name in ("copy.db", "copy.db-wal", "copy.db-shm"):
        file.with_name(name).unlink(missing_ok=True)
    Database(file.with_name("copy.db")).close()
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    file.with_name("copy.db").replace(file)


@pytest.mark.parametrize("fault", [Path.unlink, lambda file: shutil.rmtree(file.parent), replaced])
def test_a_removed_or_replaced_store_is_refused(file: Path, fault: Callable[[Path], None]) -> None:
    """A commit to a removed file would be lost, so both reading and writing transactions fail."""
    with Database(file) as used:
        with used.transaction():
            pass
        fault(file)
        for kind in ("IMMEDIATE", "DEFERRED"):
            with pytest.raises(StoreError, match="removed or replaced while it was in use"), used.transaction(kind):
                pass
