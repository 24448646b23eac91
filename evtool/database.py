"""The store's file: opened safely for its SQLite version and its disk, created whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from evtool.errors import StoreError

APPLICATION_ID = 0x65767431  # "evt1": tells a store of evtool from any other SQLite file
VERSION = 1  # of the tables; a store of a newer version is refused
BUSY_SECONDS = 30
NETWORK_DISKS = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "lustre", "gpfs", "ceph")


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the fix of the WAL-reset bug that 3.7.0 to 3.51.2 have (https://sqlite.org/changes.html)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


def disk_type(path: Path) -> str:
    """The type of the file system that holds a path, as Linux names it; "" where that cannot be told."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, found = "", ""
    for fields in (line.split(" ") for line in lines):
        mount = fields[4].replace("\\040", " ")
        if len(mount) >= len(best) and path.is_relative_to(mount):
            best, found = mount, fields[fields.index("-") + 1]
    return found


def journal_mode(folder: Path) -> str:
    """WAL where it is safe, a rollback journal where the SQLite or the disk is not made for it."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    local = disk_type(folder) not in NETWORK_DISKS
    return "wal" if wal_is_safe((version[0], version[1], version[2])) and local else "delete"


@contextmanager
def store_errors(file: Path) -> Iterator[None]:
    """What SQLite reports, as a StoreError with what to do about it."""
    try:
        yield
    except apsw.FullError:
        raise StoreError(f"{file}: the disk is full; make room and try again, what is stored is safe") from None
    except apsw.ReadOnlyError:
        raise StoreError(f"{file}: the store cannot be written; mind its permissions and those of its folder") from None
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(f"{file}: this is not a store of evtool, or it is damaged ({error})") from None
    except apsw.BusyError:
        raise StoreError(f"{file}: another process has kept the store locked for {BUSY_SECONDS} s") from None
    except apsw.CantOpenError as error:
        raise StoreError(f"{file}: the store cannot be opened ({error})") from None
    except (apsw.IOError, apsw.PermissionsError, apsw.AuthError) as error:
        raise StoreError(f"{file}: the disk reports an error ({error})") from None


def connect(file: Path) -> apsw.Connection:
    """A connection to the store, made if it is not there. Raises StoreError.

    FULL: a commit is on the disk when it returns. Statements that write run inside BEGIN IMMEDIATE only.
    """
    file = file.absolute()
    with store_errors(file):
        _create_private(file)
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _prepare(connection, file)
        except BaseException:
            connection.close()
            raise
        return connection


def _create_private(file: Path) -> None:
    """An empty file that only its owner may read: SQLite gives its journal the same mode."""
    try:
        file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if file.is_dir():
            raise StoreError(f"{file}: this is a folder; --store names a file")
        if file.stat().st_size == 0:
            file.chmod(0o600)
    except OSError as error:
        raise StoreError(f"{file}: the store cannot be made: {error.strerror}") from None


def _prepare(connection: apsw.Connection, file: Path) -> None:
    connection.set_busy_timeout(BUSY_SECONDS * 1000)
    with connection:  # read together: another process may be making the tables
        application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if not empty and application != APPLICATION_ID:
        raise StoreError(f"{file}: this is not a store of evtool; --store names another file")
    if isinstance(version, int) and version > VERSION:
        raise StoreError(f"{file}: a newer evtool made this store (version {version}, this one reads {VERSION})")
    wanted = journal_mode(file.parent)
    if _pragma(connection, "journal_mode") != wanted:
        connection.pragma("journal_mode", wanted)
    connection.pragma("synchronous", "FULL" if wanted == "wal" else "EXTRA")
    connection.pragma("foreign_keys", "ON")
    connection.pragma("trusted_schema", "OFF")
    connection.pragma("cell_size_check", "ON")
    if empty:
        _create_tables(connection)


def _create_tables(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _pragma(connection, "user_version") == 0:  # nobody else was quicker
            connection.execute((Path(__file__).parent / "store.sql").read_text(encoding="utf-8"))
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", VERSION)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _pragma(connection: apsw.Connection, name: str) -> object:
    return connection.pragma(name)
