"""The store's file: how it is opened, kept private and durable, what is refused, and what a transaction keeps."""

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
    """Wherever the tests run, their disk is taken for one of this machine."""
    monkeypatch.setattr("evtool.store.sqlite.wal.NETWORK_DISKS", ())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store's file, made and closed."""
    Database(tmp_path / "deep/folder/store.db").close()
    return tmp_path / "deep/folder/store.db"


@pytest.fixture
def opened(file: Path) -> Iterator[Database]:
    """The same, open for writing."""
    with Database(file) as database:
        yield database


def ids(database: Database) -> list[str]:
    """The events that are there."""
    return [name for (name,) in database.execute("SELECT id FROM event ORDER BY id")]


def mode(path: Path) -> int:
    """The permissions of a file."""
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
def test_wal_is_used_where_its_reset_bug_is_mended(version: tuple[int, int, int], safe: bool) -> None:
    """SQLite 3.7.0 to 3.51.2 can damage a WAL store, but for the branches that got the fix."""
    assert is_wal_safe(version) is safe


def test_a_disk_is_named_as_the_system_names_it() -> None:
    """Every mounted file system, from its own folder and from one in it that may not be there; the last one counts."""
    mounts = [line.split(" ")[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    wanted = {mount: kind for mount, kind in mounts if "\\" not in mount}

    assert {mount: detect_file_system(Path(mount)) for mount in wanted} == wanted
    assert {mount: detect_file_system(Path(mount, "not", "there")) for mount in wanted} == wanted


def test_a_disk_that_hides_another_is_the_one_that_counts(tmp_path: Path) -> None:
    """Mounted one over the other, and in a folder with a space in its name."""
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


def test_the_file_is_private_and_every_commit_is_on_the_disk(file: Path, opened: Database) -> None:
    """0600 in a folder 0700, with the journal beside it no less private; marked as a store of evtool."""
    with opened.transaction():
        opened.execute(INSERT, 1, "one")

    assert {mode(each) for each in file.parent.iterdir()} == {0o600}
    assert mode(file.parent) == 0o700
    asked = ("journal_mode", "synchronous", "application_id", "user_version")
    assert [opened.connection.pragma(name) for name in asked] == ["wal", 2, 0x65767431, VERSION]
    strict = "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name IN ('event', 'delivery', 'attempt')"
    assert opened.execute(strict) == [(1,)] * 3


def test_a_file_that_is_there_keeps_its_permissions_unless_it_is_empty(file: Path, tmp_path: Path) -> None:
    """Who shares a store on purpose may; an empty file becomes a store, and private."""
    empty = tmp_path / "empty.db"
    for path in (empty, file):
        path.touch()
        path.chmod(0o640)
        Database(path).close()

    assert (mode(empty), mode(file)) == (0o600, 0o640)


def test_where_wal_is_not_safe_there_is_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that moves to a network disk or to an older SQLite gets a rollback journal, and WAL when it is back."""
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


def test_a_file_cannot_be_made_to_run_what_somebody_wrote_into_it(opened: Database) -> None:
    """SQLite's advice for files that may come from others (https://sqlite.org/security.html) is followed."""
    assert [opened.connection.pragma(name) for name in ("trusted_schema", "cell_size_check")] == [0, 1]


def test_rows_that_belong_together_stay_together(opened: Database) -> None:
    """A delivery of an event that is not there cannot come in."""
    columns = "event, route, handler, replay, state, created, due"
    with pytest.raises(DamageError, match="FOREIGN KEY"), opened.transaction():
        opened.execute(f"INSERT INTO delivery ({columns}) VALUES (99, 'r', 'h', '', 'ready', 0, 0)")


def test_space_can_be_given_back(opened: Database) -> None:
    """Made so from the beginning: it could not be changed later without writing the whole file anew."""
    assert opened.connection.pragma("auto_vacuum") == 2


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    """A foreign database, a text file, a newer store, one without its tables and a folder are told apart, and left."""
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


def test_who_only_reads_changes_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made or written: where that would be needed, it is refused."""
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
    """A transaction that ends with an error after its statement."""
    with database.transaction():
        with database.transaction():
            database.execute(statement, *values)
        raise KeyError


def test_a_transaction_is_kept_whole_or_not_at_all(opened: Database, file: Path) -> None:
    """Others see nothing of it before its end, and nothing ever of one that was broken off; it may be nested."""
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


def test_what_broke_a_transaction_off_is_what_is_told(opened: Database) -> None:
    """Also where SQLite has rolled back by itself, as it does on a full disk."""
    with pytest.raises(KeyError):
        broken_off(opened, "ROLLBACK")
    with opened.transaction():
        opened.execute(INSERT, 1, "one")

    assert ids(opened) == ["one"]


def test_a_reading_transaction_sees_one_moment(opened: Database, file: Path) -> None:
    """What others commit meanwhile is not in it, and it keeps nobody from committing."""
    with Database(file) as other, opened.transaction("DEFERRED"):
        assert ids(opened) == []
        with other.transaction():
            other.execute(INSERT, 1, "one")
        assert ids(opened) == []
    assert ids(opened) == ["one"]


def test_many_values_are_written_by_one_statement(opened: Database) -> None:
    """And what each of them returns comes back, in their order."""
    with opened.transaction():
        assert opened.execute_many(f"{INSERT} RETURNING id", [(1, "one"), (2, "two")]) == [("one",), ("two",)]
    assert opened.execute("SELECT id FROM event WHERE key = :key", key=2) == [("two",)]


def test_an_error_of_sqlite_is_told_in_words(opened: Database) -> None:
    """Wherever it shows: a table that is not there is damage."""
    for broken in (
        lambda: opened.execute("SELECT 1 FROM gone"),
        lambda: opened.execute_many("DELETE FROM gone WHERE x = ?", [(1,)]),
    ):
        with pytest.raises(StoreError, match="the store is damaged"):
            broken()


# --- others that use it ----------------------------------------------------------------------------------------------


def test_when_it_is_closed_nothing_is_left_beside_it(file: Path) -> None:
    """The journal is gone, and the connection with it."""
    with Database(file) as opened:
        with opened.transaction():
            opened.execute(INSERT, 1, "one")
        assert len(list(file.parent.iterdir())) > 1

    assert [path.name for path in file.parent.iterdir()] == ["store.db"]
    with pytest.raises(apsw.ConnectionClosedError):
        opened.execute("SELECT 1")


def test_a_store_can_be_opened_and_read_while_somebody_writes(opened: Database, file: Path) -> None:
    """Opening takes no lock; writing waits as long as was said, and then tells who is in the way."""
    with opened.transaction():
        opened.execute(INSERT, 1, "one")
        with Database(file, busy_timeout=0.0) as other:
            assert ids(other) == []
            with pytest.raises(StoreError, match="another process has kept the store locked for 0 s"):
                other.execute("BEGIN IMMEDIATE")


def test_who_waits_gets_the_store_when_it_is_free(opened: Database, file: Path) -> None:
    """A lock that is let go in time is no error."""
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
    """Whoever is told to end while others have the store ends, and not half a minute later."""

    def wait(other: Database) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        other.execute("BEGIN IMMEDIATE")

    with opened.transaction(), Database(file) as other, pytest.raises(KeyboardInterrupt):
        wait(other)


def test_who_waits_where_sqlite_does_not_gets_the_store_when_it_is_free(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not where the journal is to be changed: that is tried again, and given up when the time is over."""
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
    """Another store in the place of the one in use."""
    for name in ("copy.db", "copy.db-wal", "copy.db-shm"):
        file.with_name(name).unlink(missing_ok=True)
    Database(file.with_name("copy.db")).close()
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    file.with_name("copy.db").replace(file)


@pytest.mark.parametrize("fault", [Path.unlink, lambda file: shutil.rmtree(file.parent), replaced])
def test_a_store_that_is_taken_away_is_used_no_longer(file: Path, fault: Callable[[Path], None]) -> None:
    """Nothing is acknowledged that nobody would find: who writes, or waits for what becomes due, is told so."""
    with Database(file) as used:
        with used.transaction():
            pass
        fault(file)
        for kind in ("IMMEDIATE", "DEFERRED"):
            with pytest.raises(StoreError, match="removed or replaced while it was in use"), used.transaction(kind):
                pass
