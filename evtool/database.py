"""The store's file: opened safely for its SQLite version and its disk, created whole or not at all."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn, Self

import apsw

from evtool.errors import DamageError, StoreError
from evtool.faults import making_errors, store_errors
from evtool.journal import journal, keep_wal
from evtool.migrations import APPLICATION_ID, VERSION, upgrade

BUSY = 30.0  # seconds to wait for another process to let go of the store
CACHE = 64 * 1024  # KiB of pages at most: the index of 1,000,000 random ids has room
TABLES = {"event", "delivery", "attempt"}
JOURNALS = ("-wal", "-journal")  # files beside the store's that hold what was committed, or undo what was not


class Database:
    """One connection to the store's file. Not to be shared between threads or carried over a fork."""

    def __init__(self, file: Path, *, writing: bool = True, busy: float = BUSY):
        """Opens the file. With `writing` it is made if it is not there, and its tables are brought up to date; without,
        nothing in it is changed. `busy` is how many seconds to wait for a lock. Raises StoreError.
        """
        self.file = file
        self._path, self._busy = file.absolute(), busy
        with self.errors():
            self.connection = _connected(self._path, busy, writing=writing)
        self._place = _place(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    def errors(self) -> AbstractContextManager[None]:
        """What SQLite reports inside, as a StoreError."""
        return store_errors(self._path, self._busy)

    def transaction(self, kind: str = "IMMEDIATE") -> AbstractContextManager[None]:
        """All that is written inside is on the disk at the end, or none of it. May be nested.

        A DEFERRED one is for reading: everything is seen as it was at one moment. Raises StoreError when the file is
        not in its place any more: SQLite would go on with it, and nobody would find what is written.
        """
        return nullcontext() if self.connection.in_transaction else _Transaction(self, kind)

    def check_place(self) -> None:
        """Raises StoreError if the file is not where it was opened."""
        if self._place is None or _place(self._path) != self._place:
            told = "the store was removed or replaced while it was in use; start again with the one that is there"
            raise StoreError(f"{self._path}: {told}")

    def rows(self, query: str, *values: Any, **named: Any) -> list[Any]:
        """All rows of a statement at once: an unfinished one would keep its lock."""
        try:
            return self.connection.execute(query, named or values).fetchall()
        except Exception:
            with self.errors():
                raise

    def each(self, query: str, values: Iterable[Sequence[Any]]) -> list[Any]:
        """All rows of a statement that is run for each of several values."""
        try:
            return self.connection.executemany(query, values).fetchall()
        except Exception:
            with self.errors():
                raise


class _Transaction:
    """A transaction as a context. It is no generator: every event goes through here, and each costs its time."""

    def __init__(self, database: Database, kind: str):
        self._database, self._kind = database, kind

    def __enter__(self) -> None:
        try:
            self._database.connection.execute(f"BEGIN {self._kind}")
        except BaseException as error:  # noqa: BLE001  (raised by what is called)
            self._undo(error)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._undo(error)
        try:
            self._database.check_place()
            self._database.connection.execute("COMMIT")
        except BaseException as failure:  # noqa: BLE001  (raised by what is called)
            self._undo(failure)

    def _undo(self, error: BaseException) -> NoReturn:
        with self._database.errors():
            if self._database.connection.in_transaction:
                self._database.connection.execute("ROLLBACK")
            raise error


def _place(file: Path) -> tuple[int, int] | None:
    """What tells a file from another of its name; None when there is none."""
    try:
        there = file.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _connected(file: Path, busy: float, *, writing: bool) -> apsw.Connection:
    try:
        if writing:
            _create_private(file)
        if file.stat() and file.is_dir():
            raise StoreError(f"{file}: this is a folder; --store names a file")
        if not os.access(file, os.R_OK | os.W_OK):  # SQLite would leave files beside it that cannot be written, either
            raise PermissionError
    except OSError as error:
        raise making_errors(file, error) from None
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE if writing else apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(round(busy * 1000))
        version = _version(connection, file)
        if writing:
            _patiently(lambda: _prepare(connection, file, version), busy)
        elif version == 0:
            raise StoreError(f"{file}: the file is empty: a store was never made in it, or is lost; restore a backup")
        elif version != VERSION:
            raise StoreError(f"{file}: an older evtool made this store; `evtool events` brings it up to date")
    except apsw.CorruptError as error:
        connection.close()
        raise DamageError(f"{file}: the store is damaged and cannot be opened ({error}); restore a backup") from None
    except BaseException:
        connection.close()
        raise
    return connection


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


def _create_private(file: Path) -> None:
    """An empty file that only its owner may read: SQLite gives its journal the same mode.

    Raises StoreError for what is left of another: SQLite would take its journal for that of the new file.
    """
    file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    for left in (file.with_name(f"{file.name}{end}") for end in JOURNALS):
        if left.exists() and not os.path.lexists(file):  # in this order: another process may be making the store
            told = (
                f"it is gone, and {left.name}, which belongs to it, is there; put it back, or remove {left.name}, too"
            )
            raise StoreError(f"{file}: {told}")
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if file.is_file() and file.stat().st_size == 0:
        file.chmod(0o600)


def _version(connection: apsw.Connection, file: Path) -> int:
    """The version of the store's tables, 0 for an empty file. Raises StoreError for what is no store."""
    query = (  # one statement, that is one moment: another process may be making the tables
        "SELECT application_id, user_version, (SELECT group_concat(name, ' ') FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    )
    application, version, names = next(connection.execute(query))
    assert isinstance(version, int)
    tables = set(str(names or "").split(" ")) - {""}
    if tables and application != APPLICATION_ID:
        raise StoreError(f"{file}: this is not a store of evtool; name another file with --store")
    if version > VERSION:
        told = f"a newer evtool made this store (version {version}, this one reads {VERSION}); update evtool"
        raise StoreError(f"{file}: {told}, or name another store with --store")
    if tables and (version < 1 or not tables >= TABLES):
        what = f"its version is {version}" if version < 1 else "its tables are not there"
        raise DamageError(f"{file}: the store is damaged: {what}; restore a backup")
    return version if tables else 0


def _prepare(connection: apsw.Connection, file: Path, version: int) -> None:
    """Sets the connection up for writing, and the tables if need be.

    FULL: a commit is on the disk when it returns. Statements that write run inside BEGIN IMMEDIATE only.
    """
    if version == 0:
        connection.pragma("auto_vacuum", "INCREMENTAL")  # before anything is written: pruning can give back the space
    wanted = journal(file.parent).mode
    if connection.pragma("journal_mode") != wanted:
        connection.pragma("journal_mode", wanted)
    connection.pragma("synchronous", "FULL" if wanted == "wal" else "EXTRA")
    connection.pragma("trusted_schema", "OFF")
    connection.pragma("cell_size_check", "ON")
    connection.pragma("cache_size", -CACHE)
    if wanted == "wal":
        keep_wal(connection)
    if version < VERSION:
        upgrade(connection)
    connection.pragma("foreign_keys", "ON")
