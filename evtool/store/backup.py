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
# Pages that are copied at a time.
PAGES = 1024
# Characters of the target's name in the name of the temporary file: no name may have more than 255 bytes.
MAX_NAME = 40
WRITABLE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI


class BackupResult(NamedTuple):
    """The bytes of the copy, and the rows in it."""

    bytes: int
    events: int
    deliveries: int
    attempts: int


def _ignore_pages(_pages: int) -> None:
    """The default of a backup: progress is not reported."""


def backup(
    store: Store, target: Path, *, force: bool = False, on_pages: Callable[[int], None] = _ignore_pages
) -> BackupResult:
    """Copies the store into a file that only its owner may read. The file gets its name after the copy was checked.

    `force` replaces an existing copy. `on_pages` gets the number of pages that were copied since its last call. Raises
    UsageError if the copy cannot have this name, and StoreError for other errors.
    """
    _check_target(store.file, target, force=force)
    with _convert_write_errors(target):
        descriptor, name = mkstemp(prefix=f".{target.name[:MAX_NAME]}.", dir=target.absolute().parent)
        # The umask may have removed rights of the owner.
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    part = Path(name)
    try:
        counts = _copy_pages(store, part, target, on_pages)
        _sync(part)
        # Checked again, since copying took time.
        _check_name_is_free(target, force=force)
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
    return f"{display_path(target)} exists already; --force replaces it"


def _move_into_place(part: Path, target: Path, *, force: bool) -> None:
    """Gives the copy its name. Without `force` it replaces no file, even one created in this moment."""
    if not force and _try_link(part, target):
        return
    part.replace(target)


def _try_link(part: Path, target: Path) -> bool:
    """Whether the copy could be linked to its name. Raises FileExistsError; some file systems have no hard links."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _check_target(file: Path, target: Path, *, force: bool) -> None:
    """Raises UsageError if the copy cannot have this name."""
    try:
        kind = stat.S_IFMT(target.stat().st_mode)
    except FileNotFoundError:
        kind = 0
    except OSError as error:
        raise UsageError(f"cannot write {display_path(target)}: {error.strerror}") from None
    if kind == stat.S_IFDIR:
        raise UsageError(f"cannot write {display_path(target)}: it is a folder")
    if kind not in (0, stat.S_IFREG):
        raise UsageError(f"cannot write {display_path(target)}: it is not a regular file")
    store_path, target_path = os.path.realpath(file), os.path.realpath(target)
    store_files = [store_path] + [store_path + suffix for suffix in SIDE_FILES]
    if target_path in store_files or (kind and target.samefile(file)):
        raise UsageError(f"{display_path(target)} is the store itself; name another file")
    if target_path.startswith(call_log_prefix(file)):
        raise UsageError(
            f"{display_path(target)} is the name of a call log of the store, which is deleted; name another file"
        )
    _check_name_is_free(target, force=force)


def _check_name_is_free(target: Path, *, force: bool) -> None:
    """Raises UsageError if the copy would replace something else than an empty file or, with `force`, a copy."""
    if force:
        _remove_empty_wal(target)
    for suffix in SIDE_FILES:
        # SQLite would treat such a file as a part of the copy.
        if os.path.lexists(f"{target}{suffix}"):
            raise UsageError(
                f"{display_path(target)}{suffix} exists: {display_path(target)} is, or was, a store in use; name"
                " another file"
            )
    if os.path.lexists(target) and not force:
        raise UsageError(_exists_message(target))
    if target.exists() and not _is_replaceable(target):
        raise UsageError(
            f"{display_path(target)} is not a copy of a store, and --force replaces only such; name another file"
        )


def _remove_empty_wal(target: Path) -> None:
    """Lets SQLite remove the empty -wal that a reader left beside a copy. It does not while a process uses the copy."""
    with suppress(OSError, apsw.Error):
        if target.with_name(f"{target.name}{WAL}").stat().st_size == 0:
            with closing(apsw.Connection(sqlite_uri(target), flags=WRITABLE)) as connection:
                connection.pragma("schema_version")


def _is_replaceable(target: Path) -> bool:
    """Whether a file is empty or has the header of a store (https://sqlite.org/fileformat2.html#the_database_header)."""
    try:
        with target.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise UsageError(f"cannot read {display_path(target)}: {error.strerror}") from None
    return not head or (head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big"))


def _copy_pages(store: Store, part: Path, target: Path, on_pages: Callable[[int], None]) -> Any:
    """Copies the pages of one moment, and checks the copy: it must have the same numbers of rows and no damage."""
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
        with translate_errors(target, BUSY_TIMEOUT):
            # A copy in WAL mode could not be read in a read-only folder.
            connection.pragma("journal_mode", "delete")
            # The copy must be distinguishable from the store, whose -wal does not belong to it.
            randomize_schema_cookie(connection)
    finally:
        connection.close()
    # A damaged copy may raise DamageError as soon as it is opened.
    with suppress(DamageError), Store(part, writing=False) as copied_store:
        counts = copied_store.execute(COUNT_QUERY)[0]
        if counts == expected_counts and all(finding.severity != "error" for finding in check_store(copied_store)):
            return counts
    raise DamageError(f"{store.file}: the store is damaged, no copy was made: `evtool doctor` says where")


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
