"""Backup: a copy of the store as it is at one moment, whole or not there, made while others use it."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from evtool.database import BUSY
from evtool.errors import DamageError, UsageError
from evtool.faults import store_errors
from evtool.health import findings
from evtool.opening import uri
from evtool.project import display
from evtool.store import Store

COUNTS = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), (SELECT count(*) FROM attempt)"
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file that it works with


class Copy(NamedTuple):
    """What was copied."""

    bytes: int
    events: int
    deliveries: int
    attempts: int


def backup(store: Store, target: Path, *, force: bool = False) -> Copy:
    """Copies the store into a file that only its owner may read, and which is there when it is whole and checked.

    `force` lets it take the place of a file. Raises UsageError for a place that cannot be, StoreError for the rest.
    """
    _check(store.file.absolute(), target.absolute(), force=force)
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise UsageError(f"cannot write {display(target)}: {error.strerror}") from None
    try:
        counts = _copied(store, part, target)
        _synced(part)
        part.replace(target)
        _synced(target.absolute().parent)
    finally:
        for name in ("", *BESIDE):
            part.with_name(part.name + name).unlink(missing_ok=True)
    return Copy(target.stat().st_size, *counts)


def _check(file: Path, target: Path, *, force: bool) -> None:
    """Whether a copy may be put there. Raises UsageError."""
    own = [file.resolve().with_name(file.resolve().name + name) for name in ("", *BESIDE)]
    if target.resolve() in own or (target.exists() and target.samefile(file)):
        raise UsageError(f"{display(target)} is the store itself; name another file")
    for name in BESIDE:  # SQLite would take it for a part of the copy
        if target.with_name(target.name + name).exists():
            raise UsageError(f"{display(target)}{name} is there: {display(target)} is, or was, a store in use")
    if target.exists() and not target.is_file():
        raise UsageError(f"cannot write {display(target)}: it is {'a folder' if target.is_dir() else 'no file'}")
    if os.path.lexists(target) and not force:
        raise UsageError(f"{display(target)} is there already; --force lets the copy take its place")


def _copied(store: Store, part: Path, target: Path) -> Any:
    """Copies the pages as they are at one moment, counts what is in them before and after, and checks the copy."""
    copy = apsw.Connection(uri(part), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
    try:
        with store.transaction("DEFERRED"):
            wanted = store.rows(COUNTS)[0]
            with store_errors(target, BUSY), copy.backup("main", store.connection, "main") as pages:
                pages.step(-1)
        with store_errors(target, BUSY):  # in WAL mode it could not be read where nothing can be written
            copy.pragma("journal_mode", "delete")
    finally:
        copy.close()
    try:
        with Store(part, writing=False) as made:
            counts = made.rows(COUNTS)[0]
            if counts == wanted and all(finding.severity != "error" for finding in findings(made)):
                return counts
    except DamageError:
        pass  # it cannot even be opened
    raise DamageError(f"{store.file}: the store is damaged, no copy was made: `evtool doctor` says where")


def _synced(path: Path) -> None:
    """Puts a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
