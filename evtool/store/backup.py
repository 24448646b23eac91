"""Writes a consistent, checked copy of a store to a file while the store is in use."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any, NamedTuple

import apsw

from evtool.errors import DamageError, UsageError
from evtool.paths import display_path
from evtool.store.integrity import check_store
from evtool.store.sqlite.connection import sqlite_uri
from evtool.store.sqlite.database import BUSY_TIMEOUT
from evtool.store.sqlite.errors import translate_errors
from evtool.store.sqlite.files import SIDE_FILES, WAL, call_log_prefix
from evtool.store.sqlite.migrations import APPLICATION_ID
from evtool.store.sqlite.side_files import randomize_schema_cookie
from evtool.store.store import Store

COUNT_QUERY = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), (SELECT count(*) FROM attempt)"
PAGES = 1024  # pages that are copied at a time
MAX_NAME = 40  # characters of a name that are in the name of a file in the making: no name may have more than 255 bytes
WRITABLE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI


class BackupResult(NamedTuple):
    """What was copied."""

    bytes: int
    events: int
    deliveries: int
    attempts: int


def backup(
    store: Store, target: Path, *, force: bool = False, on_pages: Callable[[int], None] = lambda _: None
) -> BackupResult:
    """Copies the store into a file that only its owner may read, and which is there when it is whole and checked.

    `force` lets it take the place of a file. `on_pages` gets the number of pages copied.
    Raises UsageError for a place that cannot be, StoreError for the rest.
    """
    _check_target(store.file, target, force=force)
    with _convert_write_errors(target):
        descriptor, name = mkstemp(prefix=f".{target.name[:MAX_NAME]}.", dir=target.absolute().parent)
        os.fchmod(descriptor, 0o600)  # whatever the umask takes away
        os.close(descriptor)
    part = Path(name)
    try:
        counts = _copy_pages(store, part, target, on_pages)
        _sync(part)
        _check_name_is_free(target, force=force)  # again: that took a while
        with _convert_write_errors(target):
            _move_into_place(part, target, force=force)
            _sync(target.absolute().parent)
    finally:
        for name in ("", *SIDE_FILES):
            part.with_name(part.name + name).unlink(missing_ok=True)
    return BackupResult(target.stat().st_size, *counts)


@contextmanager
def _convert_write_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise UsageError(_exists_message(target)) from None
    except OSError as error:
        raise UsageError(f"cannot write {display_path(target)}: {error.strerror}") from None


def _exists_message(target: Path) -> str:
    return f"{display_path(target)} is there already; --force lets the copy take its place"


def _move_into_place(part: Path, target: Path, *, force: bool) -> None:
    """Gives the copy its name. Without `force` it takes no other's, even if that came in this moment."""
    if not force and _try_link(part, target):
        return
    part.replace(target)


def _try_link(part: Path, target: Path) -> bool:
    """Whether the copy got a name that was free; there are file systems where a file can have one name only."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _check_target(file: Path, target: Path, *, force: bool) -> None:
    """Whether a copy may be put there. Raises UsageError."""
    try:
        kind = stat.S_IFMT(target.stat().st_mode)
    except FileNotFoundError:
        kind = 0
    except OSError as error:
        raise UsageError(f"cannot write {display_path(target)}: {error.strerror}") from None
    if kind not in (0, stat.S_IFREG):
        raise UsageError(
            f"cannot write {display_path(target)}: it is {'a folder' if kind == stat.S_IFDIR else 'no file'}"
        )
    store_path, target_path = os.path.realpath(file), os.path.realpath(target)
    if target_path in [store_path + suffix for suffix in ("", *SIDE_FILES)] or (kind and target.samefile(file)):
        raise UsageError(f"{display_path(target)} is the store itself; name another file")
    if target_path.startswith(call_log_prefix(file)):
        raise UsageError(
            f"{display_path(target)} is the name of a call log of the store, which is deleted; name another file"
        )
    _check_name_is_free(target, force=force)


def _check_name_is_free(target: Path, *, force: bool) -> None:
    """Whether the copy may take that name from what has it now. Raises UsageError."""
    if force:
        _remove_empty_wal(target)
    for suffix in SIDE_FILES:  # SQLite would take it for a part of the copy
        if os.path.lexists(f"{target}{suffix}"):
            raise UsageError(
                f"{display_path(target)}{suffix} is there: {display_path(target)} is, or was, a store in use"
            )
    if os.path.lexists(target) and not force:
        raise UsageError(_exists_message(target))
    if target.exists() and not _is_replaceable(target):
        raise UsageError(
            f"{display_path(target)} is no copy of a store: --force takes the place of such only; name another"
        )


def _remove_empty_wal(target: Path) -> None:
    """Has SQLite take away the empty log that a reader left beside a copy. It does not while somebody uses that."""
    with suppress(OSError, apsw.Error):
        if target.with_name(f"{target.name}{WAL}").stat().st_size == 0:
            with closing(apsw.Connection(sqlite_uri(target), flags=WRITABLE)) as connection:
                connection.pragma("schema_version")


def _is_replaceable(target: Path) -> bool:
    """Whether a file is empty, or a store by its header (https://sqlite.org/fileformat2.html#the_database_header)."""
    try:
        with target.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise UsageError(f"cannot read {display_path(target)}: {error.strerror}") from None
    return not head or (head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big"))


def _copy_pages(store: Store, part: Path, target: Path, on_pages: Callable[[int], None]) -> Any:
    """Copies the pages as they are at one moment, counts what is in them before and after, and checks the copy."""
    connection = apsw.Connection(sqlite_uri(part), flags=WRITABLE)
    try:
        with store.transaction("DEFERRED"):
            expected_counts = store.execute(COUNT_QUERY)[0]
            with translate_errors(target, BUSY_TIMEOUT), connection.backup("main", store.connection, "main") as pages:
                copied = 0
                while not pages.done:
                    pages.step(PAGES)
                    on_pages(pages.page_count - pages.remaining - copied)
                    copied = pages.page_count - pages.remaining
        with translate_errors(target, BUSY_TIMEOUT):  # in WAL mode it could not be read where nothing can be written
            connection.pragma("journal_mode", "delete")
            randomize_schema_cookie(connection)  # a -wal of the store does not belong to the copy
    finally:
        connection.close()
    try:
        with Store(part, writing=False) as copied_store:
            counts = copied_store.execute(COUNT_QUERY)[0]
            if counts == expected_counts and all(finding.severity != "error" for finding in check_store(copied_store)):
                return counts
    except DamageError:
        pass  # it cannot even be opened
    raise DamageError(f"{store.file}: the store is damaged, no copy was made: `evtool doctor` says where")


def _sync(path: Path) -> None:
    """Puts a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
