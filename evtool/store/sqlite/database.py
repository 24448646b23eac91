"""The database: one SQLite connection to a store, its statements and its transactions."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, Self

from evtool.errors import StoreError
from evtool.store.sqlite.connection import make_busy_handler, open_connection
from evtool.store.sqlite.errors import translate_errors
from evtool.store.sqlite.migrations import VERSION

# KiB of cached pages at most for a command that reads every page once.
SMALL_CACHE_KIB = 2048
# Seconds to wait for another process to unlock the store.
BUSY_TIMEOUT = 30.0


class Database:
    """One connection to the store's file. Not to be shared between threads or carried over a fork."""

    def __init__(self, file: Path, *, writing: bool = True, busy_timeout: float = BUSY_TIMEOUT, durable: bool = True):
        """Opens the file.

        With `writing` it is created if it is missing, and its tables are migrated; without, nothing in it is changed.
        A store that is not `durable` is faster, but may lose commits in a power cut: it is for a store that is deleted
        at the end of the command. `busy_timeout` is the time in seconds to wait for a lock. Raises StoreError.
        """
        self.file = file
        self._path, self._busy_timeout = file.absolute(), busy_timeout
        with self.translate_errors():
            self.connection = open_connection(self._path, busy_timeout, writing=writing, durable=durable)
        self._identity = _file_identity(self._path)
        self._has_written_page_1 = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    def set_busy_timeout(self, busy_timeout: float) -> None:
        """Sets the time in seconds to wait for a lock from now on."""
        self._busy_timeout = busy_timeout
        self.connection.set_busy_handler(make_busy_handler(busy_timeout))

    def keep_few_pages(self) -> None:
        """Makes the cache of pages small, for a command that reads every page once."""
        self.execute(f"PRAGMA cache_size = -{SMALL_CACHE_KIB}")

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turns errors of SQLite inside it into StoreError."""
        return translate_errors(self._path, self._busy_timeout)

    def transaction(self, kind: str = "IMMEDIATE") -> AbstractContextManager[None]:
        """Starts a transaction: all that is written inside is on the disk at its end, or none of it. May be nested.

        A DEFERRED one is for reading: all statements see the store of one moment. Raises StoreError if the file was
        removed or replaced: SQLite would write on into the removed file, and the data would be lost.
        """
        if self.connection.in_transaction:
            return nullcontext()
        return _Transaction(self, kind)

    def savepoint(self) -> AbstractContextManager[object]:
        """Starts a savepoint inside a transaction: an exception undoes what was written since, and nothing else."""
        return self.connection

    def write_page_1(self) -> None:
        """Writes page 1 into the -wal once, without a change: it shows to which store the -wal belongs (side_files.py).

        For a transaction that writes.
        """
        if not self._has_written_page_1:
            self.connection.execute(f"PRAGMA user_version = {VERSION}")
            self._has_written_page_1 = True

    def check_file_identity(self) -> None:
        """Raises StoreError if the file is not where it was opened."""
        if self._identity is None or _file_identity(self._path) != self._identity:
            problem = "the store was removed or replaced while it was in use; start again with the one that is there"
            raise StoreError(f"{self._path}: {problem}")

    def execute(self, statement: str, *values: Any, **named: Any) -> list[Any]:
        """Runs a statement and returns all rows at once, since an unfinished statement would keep its lock."""
        try:
            return self.connection.execute(statement, named or values).fetchall()
        except Exception:
            with self.translate_errors():
                raise

    def execute_many(self, statement: str, values: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[Any]:
        """Runs a statement for each of several sets of values, and returns all rows."""
        try:
            return self.connection.executemany(statement, values).fetchall()
        except Exception:
            with self.translate_errors():
                raise


class _Transaction:
    """A transaction as a context manager. A class, since `contextmanager` is measurably slower for each event."""

    def __init__(self, database: Database, kind: str):
        self._database, self._kind = database, kind

    def __enter__(self) -> None:
        try:
            self._database.connection.execute(f"BEGIN {self._kind}")
            if self._kind == "IMMEDIATE":
                self._database.write_page_1()
        except BaseException as error:  # noqa: BLE001  (raised by what is called)
            self._roll_back(error)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._roll_back(error)
        try:
            self._database.check_file_identity()
            self._database.connection.execute("COMMIT")
        except BaseException as failure:  # noqa: BLE001  (raised by what is called)
            self._roll_back(failure)

    def _roll_back(self, error: BaseException) -> NoReturn:
        with self._database.translate_errors():
            if self._database.connection.in_transaction:
                self._database.connection.execute("ROLLBACK")
            raise error


def _file_identity(file: Path) -> tuple[int, int] | None:
    """Returns the device and inode of a file; None if it does not exist."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
