"""Opens a store: checks its file before SQLite does, creates it if allowed, and sets the pragmas."""

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw

from evtool.errors import DamageError, StoreError
from evtool.store.sqlite.errors import damage_error, open_error
from evtool.store.sqlite.files import DEFAULT_FOLDER, LOST, WAL, find_journals
from evtool.store.sqlite.migrations import APPLICATION_ID, VERSION, upgrade
from evtool.store.sqlite.side_files import find_foreign_file
from evtool.store.sqlite.wal import choose_journal, manage_wal

CACHE_KIB = 64 * 1024  # KiB of pages at most: the index of 1,000,000 random ids has room
# Seconds between looks at a lock, as SQLite has them.
BUSY_DELAYS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1)
TABLES = {"event", "delivery", "attempt"}
BAD_HEADER = "its first bytes are not those that SQLite writes"


def sqlite_uri(file: Path) -> str:
    """A file as SQLite is told of it: a name may have bytes that are not UTF-8, and apsw takes text."""
    return file.absolute().as_uri()


def open_connection(file: Path, busy_timeout: float, *, writing: bool, durable: bool = True) -> apsw.Connection:
    """A connection to a store. With `writing` the file is made if it is not there, and its tables brought up to date.

    Without `durable` nothing waits for the disk. `busy_timeout` is how many seconds to wait for a lock. Raises
    StoreError, or what SQLite says.
    """
    _check_or_create(file, writing=writing)
    if writing:
        access_flag = apsw.SQLITE_OPEN_READWRITE
    else:
        access_flag = apsw.SQLITE_OPEN_READONLY
    connection = apsw.Connection(sqlite_uri(file), flags=access_flag | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_handler(make_busy_handler(busy_timeout))
        version = _read_version(connection, file)
        if writing and connection.readonly("main"):  # though the file can be written: SQLite takes it for a newer one's
            raise damage_error(file, BAD_HEADER)
        if writing:
            _retry_while_locked(lambda: _configure(connection, file, version, durable=durable), busy_timeout)
        elif version == 0:
            raise StoreError(f"{file}: the file is empty: {LOST}")
        elif version != VERSION:
            raise StoreError(f"{file}: an older evtool made this store; `evtool events` brings it up to date")
    except apsw.CorruptError as error:
        connection.close()
        raise DamageError(f"{file}: the store is damaged and cannot be opened ({error}); restore a backup") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _check_or_create(file: Path, *, writing: bool) -> None:
    """Looks at what is to be opened, and makes it if it may be. Raises StoreError."""
    try:
        _check_file(file)
        if writing:
            _create_private(file)
        file.stat()
        if not os.access(file, os.R_OK | os.W_OK):  # SQLite would leave files beside it that cannot be written, either
            raise PermissionError
        if not writing:
            _check_header(file)
        _check_side_files(file)
    except OSError as error:
        raise open_error(file, error) from None
    except ValueError:
        raise StoreError(f"{file}: no file can have this name; name another place with --store") from None


def _check_file(file: Path) -> None:
    """Raises StoreError for what SQLite should not open: it would take what is there for a part of another store, wait
    for ever, or keep a log of its own for each name of a file (https://sqlite.org/howtocorrupt.html).
    """
    journals = find_journals(file)  # looked for first: another process may be making the store
    try:
        status = file.stat()
    except FileNotFoundError:
        if not journals:
            return
        name = Path(os.path.realpath(file)).name + journals[0]
        reason = f"it is gone, and {name}, which belongs to it, is there; put it back, or remove {name}, too"
        raise StoreError(f"{file}: {reason}") from None
    if stat.S_ISDIR(status.st_mode):
        raise StoreError(f"{file}: this is a folder; --store names a file")
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{file}: this is a pipe, a socket or a device, not a file; name another place with --store")
    if status.st_nlink > 1:
        reason = (
            f"this file has {status.st_nlink} names (hard links), and what is stored under one gets lost under another"
        )
        raise StoreError(f"{file}: {reason}: https://sqlite.org/howtocorrupt.html; keep one name and remove the others")
    if status.st_size == 1:  # SQLite would take it for empty
        raise StoreError(f"{file}: this is not a store of evtool; name another file with --store")
    if status.st_size == 0 and WAL in journals:
        raise StoreError(f"{file}: the file is empty, and the {WAL} that belongs to it is there: {LOST}")


def _check_side_files(file: Path) -> None:
    """Raises StoreError for a journal of another store, which SQLite would take for a part of this one."""
    suffix = find_foreign_file(file)
    if suffix:
        name = Path(os.path.realpath(file)).name
        if suffix == WAL:
            moved = f"{name}{suffix} and {name}-shm"
        else:
            moved = f"{name}{suffix}"
        raise StoreError(
            f"{file}: the {name}{suffix} beside it belongs to another store, or to the one that was here before, and"
            f" would damage this one; nothing was changed. If {name} was restored or copied, move {moved} to another"
            f" folder; if not, put the {name} back to which {name}{suffix} belongs"
        )


def _check_header(file: Path) -> None:
    """Raises DamageError for what SQLite can only read, which does not show to those who only read.

    Not for those who write: closing a file takes away the locks that this process has on it.
    """
    with file.open("rb") as stream:
        header = stream.read(19)
    if header.startswith(b"SQLite format 3\0") and header[18:] not in (b"\1", b"\2"):  # its format's number for writing
        raise damage_error(file, BAD_HEADER)


def _create_private(file: Path) -> None:
    """An empty file that only its owner may read: SQLite gives its journal the same mode."""
    _create_folder(file.parent)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if file.stat().st_size == 0:
        file.chmod(0o600)


def _create_folder(folder: Path) -> None:
    """Makes the folder of a store; the default one with a .gitignore: a store has no place in a repository."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if folder.name == DEFAULT_FOLDER:
            (folder / ".gitignore").write_text("# Made by evtool.\n*\n", encoding="utf-8")


def make_busy_handler(busy_timeout: float) -> Callable[[int], bool]:
    """What SQLite calls again and again while others have a lock: sleeps, and says whether to go on.

    As long as its own (https://sqlite.org/c3ref/busy_timeout.html), but that would let no signal through.
    """
    deadline = 0.0

    def sleep(attempt: int) -> bool:
        nonlocal deadline
        now = time.monotonic()
        if attempt == 0:
            deadline = now + busy_timeout
        if now >= deadline:
            return False
        time.sleep(min(BUSY_DELAYS[min(attempt, len(BUSY_DELAYS) - 1)], deadline - now))
        return True

    return sleep


def _retry_while_locked(action: Callable[[], None], busy_timeout: float) -> None:
    """Takes a step again while others lock the store. SQLite does not wait where waiting could last for ever: when two
    connections change the journal mode at once (https://sqlite.org/c3ref/busy_handler.html)."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            return action()
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def _read_version(connection: apsw.Connection, file: Path) -> int:
    """The version of the store's tables, 0 for an empty file. Raises StoreError for what is no store."""
    query = (  # one statement, that is one moment: another process may be making the tables
        "SELECT application_id, user_version, (SELECT group_concat(name, ' ') FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    )
    application_id, version, names = next(connection.execute(query))
    assert isinstance(version, int)
    table_names = set(str(names or "").split(" ")) - {""}
    if application_id != APPLICATION_ID and (application_id or version or table_names):
        raise StoreError(f"{file}: this is not a store of evtool; name another file with --store")
    if version > VERSION:
        problem = f"a newer evtool made this store (version {version}, this one reads {VERSION}); update evtool"
        raise StoreError(f"{file}: {problem}, or name another store with --store")
    if application_id and (version < 1 or not table_names >= TABLES):
        problem = "its tables are not there"
        if version < 1:
            problem = f"its version is {version}"
        raise DamageError(f"{file}: the store is damaged: {problem}; restore a backup")
    return version


def _configure(connection: apsw.Connection, file: Path, version: int, *, durable: bool) -> None:
    """Sets the connection up for writing, and the tables if need be.

    FULL: a commit is on the disk when it returns; OFF: when the system writes it. Statements that write run inside
    BEGIN IMMEDIATE only.
    """
    real_path = Path(os.path.realpath(file))  # a symbolic link may lead to another disk
    if not durable:
        connection.pragma("synchronous", "OFF")  # also for what follows
    if version == 0:
        connection.pragma("auto_vacuum", "INCREMENTAL")  # before anything is written: pruning can give back the space
    journal_mode = choose_journal(real_path.parent).mode
    if connection.pragma("journal_mode") != journal_mode:
        connection.pragma("journal_mode", journal_mode)
    if durable:
        connection.pragma("synchronous", "FULL" if journal_mode == "wal" else "EXTRA")
    connection.pragma("trusted_schema", "OFF")
    connection.pragma("cell_size_check", "ON")
    connection.pragma("cache_size", -CACHE_KIB)
    if journal_mode == "wal":
        manage_wal(connection, f"{real_path}{WAL}")
    if version < VERSION:
        upgrade(connection)
    connection.pragma("foreign_keys", "ON")
