"""The database: a connection to the store's file, what is asked of it, and transactions that are kept whole."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, Self

from evtool.errors import StoreError
from evtool.store.sqlite.connection import connected, waiting
from evtool.store.sqlite.errors import store_errors

BUSY = 30.0  # seconds to wait for another process to let go of the store


class Database:
    """One connection to the store's file. Not to be shared between threads or carried over a fork."""

    def __init__(self, file: Path, *, writing: bool = True, busy: float = BUSY):
        """Opens the file. With `writing` it is made if it is not there, and its tables are brought up to date; without,
        nothing in it is changed. `busy` is how many seconds to wait for a lock. Raises StoreError.
        """
        self.file = file
        self._path, self._busy = file.absolute(), busy
        with self.errors():
            self.connection = connected(self._path, busy, writing=writing)
        self._place = _place(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    def wait(self, busy: float) -> None:
        """Says how many seconds to wait for a lock from now on."""
        self._busy = busy
        self.connection.set_busy_handler(waiting(busy))

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
