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

# KiB of cached pages at most: the index of 1,000,000 random ids fits.
CACHE_KIB = 64 * 1024
# Seconds between two attempts to get a lock, the same as SQLite's own.
BUSY_DELAYS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1)
TABLES = {"event", "delivery", "attempt"}
BAD_HEADER = "its first bytes are not those that SQLite writes"


def sqlite_uri(file: Path) -> str:
    """Returns the URI of a file for SQLite. A name may have bytes that are not UTF-8, but apsw takes a string."""
    return file.absolute().as_uri()


def open_connection(file: Path, busy_timeout: float, *, writing: bool, durable: bool = True) -> apsw.Connection:
    """Opens a connection to a store. With `writing` the file is created if it is missing, and its tables are migrated.

    Without `durable` commits do not wait for the disk. `busy_timeout` is the time in seconds to wait for a lock. Raises
    StoreError, or an error of SQLite.
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
        # The file is writable, but its header says that only a newer SQLite may write it: the header is damaged.
        if writing and connection.readonly("main"):
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
    """Checks the file, and creates it if `writing` allows it. Raises StoreError."""
    try:
        _check_file(file)
        if writing:
            _create_private(file)
        file.stat()
        # Otherwise SQLite would leave files beside the store that cannot be written, either.
        if not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError
        if not writing:
            _check_header(file)
        _check_side_files(file)
    except OSError as error:
        raise open_error(file, error) from None
    except ValueError:
        raise StoreError(f"{file}: this is not a valid file name; name another file with --store") from None


def _check_file(file: Path) -> None:
    """Raises StoreError for a file that SQLite should not open.

    SQLite would use a journal of another store, wait for ever for a pipe, or keep a separate log for each name of a
    file (https://sqlite.org/howtocorrupt.html).
    """
    # Searched for before the file is looked at, since another process may be creating the store.
    journals = find_journals(file)
    try:
        status = file.stat()
    except FileNotFoundError:
        if not journals:
            return
        name = Path(os.path.realpath(file)).name + journals[0]
        reason = f"the file is missing, but its {name} exists; put the file back, or remove {name}, too"
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
    # SQLite treats a file of one byte as empty and would overwrite it.
    if status.st_size == 1:
        raise StoreError(f"{file}: this is not a store of evtool; name another file with --store")
    if status.st_size == 0 and WAL in journals:
        raise StoreError(f"{file}: the file is empty, but its {WAL} exists: {LOST}")


def _check_side_files(file: Path) -> None:
    """Raises StoreError for a journal of another store, which SQLite would apply to this one."""
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
    """Raises DamageError for a header that allows only reading: a connection that only reads does not notice that.

    Do not call it for a connection that writes: closing a file releases the locks that this process has on it.
    """
    with file.open("rb") as stream:
        header = stream.read(19)
    # Byte 18 is the file format version for writing.
    if header.startswith(b"SQLite format 3\0") and header[18:] not in (b"\1", b"\2"):
        raise damage_error(file, BAD_HEADER)


def _create_private(file: Path) -> None:
    """Creates an empty file that only its owner may read. SQLite gives its journal the same mode."""
    _create_folder(file.parent)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if file.stat().st_size == 0:
        file.chmod(0o600)


def _create_folder(folder: Path) -> None:
    """Creates the folder of a store. The default folder gets a .gitignore, since a store should not be committed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if folder.name == DEFAULT_FOLDER:
            (folder / ".gitignore").write_text("# Made by evtool.\n*\n", encoding="utf-8")


def make_busy_handler(busy_timeout: float) -> Callable[[int], bool]:
    """Returns the function that SQLite calls while another process holds a lock: it sleeps and says whether to go on.

    It waits as SQLite's own handler does (https://sqlite.org/c3ref/busy_timeout.html), but lets Python handle signals.
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
    """Repeats an action while the store is locked.

    SQLite does not call the busy handler if waiting could last for ever, as when two connections change the journal
    mode at the same time (https://sqlite.org/c3ref/busy_handler.html).
    """
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            return action()
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def _read_version(connection: apsw.Connection, file: Path) -> int:
    """Returns the version of the tables, 0 for an empty file. Raises StoreError if the file is not a store."""
    # One statement, so that all values are of one moment: another process may be creating the tables.
    query = (
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
        problem = "its tables are missing"
        if version < 1:
            problem = f"its version is {version}"
        raise DamageError(f"{file}: the store is damaged: {problem}; restore a backup")
    return version


def _configure(connection: apsw.Connection, file: Path, version: int, *, durable: bool) -> None:
    """Configures a connection for writing, and creates or migrates the tables.

    `synchronous` FULL: a commit is on the disk when it returns. OFF: the system writes it later. All statements that
    write run inside BEGIN IMMEDIATE.
    """
    # A symbolic link may lead to another disk, which decides about the journal mode.
    real_path = Path(os.path.realpath(file))
    if not durable:
        connection.pragma("synchronous", "OFF")
    if version == 0:
        # It must be set before the first page is written. With it, pruning can return space to the disk.
        connection.pragma("auto_vacuum", "INCREMENTAL")
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
