"""The journal: how SQLite keeps transactions whole with its version and on its disk, and how its log is kept short."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw

CHECKPOINT = 4000  # pages of WAL until they go into the file: most are written again and again, and go there once
SMALL = 32  # pages of WAL: one event and its deliveries need fewer
ROOM = 512 * 1024  # bytes that are laid out at once
FRAME = 24  # bytes before every page in the WAL (https://sqlite.org/fileformat2.html#walformat)
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


class Journal(NamedTuple):
    """How SQLite keeps transactions whole, and why in this way."""

    mode: str  # wal | delete
    reason: str


def journal(folder: Path) -> Journal:
    """WAL where it is safe, a rollback journal where the SQLite or the disk is not made for it."""
    version, disk = apsw.sqlite_lib_version(), disk_type(folder)
    major, minor, patch = (int(part) for part in version.split("."))
    if not wal_is_safe((major, minor, patch)):
        return Journal("delete", f"SQLite {version} has the WAL-reset bug")
    if disk in NETWORK_DISKS:
        return Journal("delete", f"the disk is a network disk ({disk})")
    return Journal("wal", f"SQLite {version} has no WAL-reset bug, the disk is local")


def keep_wal(connection: apsw.Connection, wal: str) -> None:
    """Makes checkpoints of a connection in WAL mode, and lays the file `wal` out ahead of small commits.

    In a file that grows, a commit costs the disk two writes, one after the other: its bytes, and where they lie. So the
    WAL is made longer with zeros, which SQLite takes for its end, many commits' worth at a time.
    """
    page = connection.pragma("page_size")
    assert isinstance(page, int)
    before, laid_out = 0, 0

    def committed(_: apsw.Connection, name: str, pages: int) -> int:
        nonlocal before, laid_out
        if pages >= CHECKPOINT:
            with suppress(apsw.Error):  # the commit is in the WAL: the next one tries again
                connection.wal_checkpoint(name)
        elif pages - before <= SMALL and (needed := (pages + SMALL) * (page + FRAME)) > laid_out:
            laid_out = lay_out(wal, needed)
        before = pages
        return apsw.SQLITE_OK

    connection.set_wal_hook(committed)


def lay_out(file: str, needed: int) -> int:
    """Makes a file longer with zeros if it has not as many bytes as are needed; how many it has then.

    Others may write the file meanwhile: what is appended is never put over what they have written.
    """
    with suppress(OSError):
        log = os.open(file, os.O_WRONLY | os.O_APPEND)
        try:
            length = os.fstat(log).st_size
            return length if length >= needed else length + os.write(log, bytes(ROOM))
        finally:
            os.close(log)
    return 0
