"""Opening: the store's file is looked at before SQLite touches it, made if it may be, and set up for where it lies."""

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw

from evtool.errors import DamageError, StoreError
from evtool.store.sqlite.errors import damage, making_errors
from evtool.store.sqlite.files import LOST, WAL, journals_of
from evtool.store.sqlite.migrations import APPLICATION_ID, VERSION, upgrade
from evtool.store.sqlite.wal import journal, keep_wal

CACHE = 64 * 1024  # KiB of pages at most: the index of 1,000,000 random ids has room
# Seconds between looks at a lock, as SQLite has them.
DELAYS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1)
TABLES = {"event", "delivery", "attempt"}
HEAD = "its first bytes are not those that SQLite writes"


def uri(file: Path) -> str:
    """A file as SQLite is told of it: a name may have bytes that are not UTF-8, and apsw takes text."""
    return file.absolute().as_uri()


def connected(file: Path, busy: float, *, writing: bool) -> apsw.Connection:
    """A connection to a store. With `writing` the file is made if it is not there, and its tables brought up to date.

    `busy` is how many seconds to wait for a lock. Raises StoreError, or what SQLite says.
    """
    _look(file, writing=writing)
    access = apsw.SQLITE_OPEN_READWRITE if writing else apsw.SQLITE_OPEN_READONLY
    connection = apsw.Connection(uri(file), flags=access | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_handler(waiting(busy))
        version = _version(connection, file)
        if writing and connection.readonly("main"):  # though the file can be written: SQLite takes it for a newer one's
            raise damage(file, HEAD)
        if writing:
            _patiently(lambda: _prepare(connection, file, version), busy)
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


def _look(file: Path, *, writing: bool) -> None:
    """Looks at what is to be opened, and makes it if it may be. Raises StoreError."""
    try:
        _check(file)
        if writing:
            _make_private(file)
        file.stat()
        if not os.access(file, os.R_OK | os.W_OK):  # SQLite would leave files beside it that cannot be written, either
            raise PermissionError
        if not writing:
            _check_head(file)
    except OSError as error:
        raise making_errors(file, error) from None
    except ValueError:
        raise StoreError(f"{file}: no file can have this name; name another place with --store") from None


def _check(file: Path) -> None:
    """Raises StoreError for what SQLite should not open: it would take what is there for a part of another store, wait
    for ever, or keep a log of its own for each name of a file (https://sqlite.org/howtocorrupt.html).
    """
    left = journals_of(file)  # looked for first: another process may be making the store
    try:
        there = file.stat()
    except FileNotFoundError:
        if not left:
            return
        name = Path(os.path.realpath(file)).name + left[0]
        told = f"it is gone, and {name}, which belongs to it, is there; put it back, or remove {name}, too"
        raise StoreError(f"{file}: {told}") from None
    if stat.S_ISDIR(there.st_mode):
        raise StoreError(f"{file}: this is a folder; --store names a file")
    if not stat.S_ISREG(there.st_mode):
        raise StoreError(f"{file}: this is a pipe, a socket or a device, not a file; name another place with --store")
    if there.st_nlink > 1:
        told = (
            f"this file has {there.st_nlink} names (hard links), and what is stored under one gets lost under another"
        )
        raise StoreError(f"{file}: {told}: https://sqlite.org/howtocorrupt.html; keep one name and remove the others")
    if there.st_size == 1:  # SQLite would take it for empty
        raise StoreError(f"{file}: this is not a store of evtool; name another file with --store")
    if there.st_size == 0 and WAL in left:
        raise StoreError(f"{file}: the file is empty, and the {WAL} that belongs to it is there: {LOST}")


def _check_head(file: Path) -> None:
    """Raises DamageError for what SQLite can only read, which does not show to those who only read.

    Not for those who write: closing a file takes away the locks that this process has on it.
    """
    with file.open("rb") as opened:
        head = opened.read(19)
    if head.startswith(b"SQLite format 3\0") and head[18:] not in (b"\1", b"\2"):  # its format's number for writing
        raise damage(file, HEAD)


def _make_private(file: Path) -> None:
    """An empty file that only its owner may read: SQLite gives its journal the same mode."""
    file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if file.stat().st_size == 0:
        file.chmod(0o600)


def waiting(busy: float) -> Callable[[int], bool]:
    """What SQLite calls again and again while others have a lock: sleeps, and says whether to go on.

    As long as its own (https://sqlite.org/c3ref/busy_timeout.html), but that would let no signal through.
    """
    until = 0.0

    def sleep(times: int) -> bool:
        nonlocal until
        now = time.monotonic()
        if times == 0:
            until = now + busy
        if now >= until:
            return False
        time.sleep(min(DELAYS[min(times, len(DELAYS) - 1)], until - now))
        return True

    return sleep


def _patiently(step: Callable[[], None], busy: float) -> None:
    """Takes a step again while others lock the store. SQLite does not wait where waiting could last for ever: when two
    connections change the journal mode at once (https://sqlite.org/c3ref/busy_handler.html)."""
    until = time.monotonic() + busy
    while True:
        try:
            return step()
        except apsw.BusyError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.01)


def _version(connection: apsw.Connection, file: Path) -> int:
    """The version of the store's tables, 0 for an empty file. Raises StoreError for what is no store."""
    query = (  # one statement, that is one moment: another process may be making the tables
        "SELECT application_id, user_version, (SELECT group_concat(name, ' ') FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    )
    application, version, names = next(connection.execute(query))
    assert isinstance(version, int)
    tables = set(str(names or "").split(" ")) - {""}
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{file}: this is not a store of evtool; name another file with --store")
    if version > VERSION:
        told = f"a newer evtool made this store (version {version}, this one reads {VERSION}); update evtool"
        raise StoreError(f"{file}: {told}, or name another store with --store")
    if application and (version < 1 or not tables >= TABLES):
        what = f"its version is {version}" if version < 1 else "its tables are not there"
        raise DamageError(f"{file}: the store is damaged: {what}; restore a backup")
    return version


def _prepare(connection: apsw.Connection, file: Path, version: int) -> None:
    """Sets the connection up for writing, and the tables if need be.

    FULL: a commit is on the disk when it returns. Statements that write run inside BEGIN IMMEDIATE only.
    """
    real = Path(os.path.realpath(file))  # a symbolic link may lead to another disk
    if version == 0:
        connection.pragma("auto_vacuum", "INCREMENTAL")  # before anything is written: pruning can give back the space
    wanted = journal(real.parent).mode
    if connection.pragma("journal_mode") != wanted:
        connection.pragma("journal_mode", wanted)
    connection.pragma("synchronous", "FULL" if wanted == "wal" else "EXTRA")
    connection.pragma("trusted_schema", "OFF")
    connection.pragma("cell_size_check", "ON")
    connection.pragma("cache_size", -CACHE)
    if wanted == "wal":
        keep_wal(connection, f"{real}{WAL}")
    if version < VERSION:
        upgrade(connection)
    connection.pragma("foreign_keys", "ON")
