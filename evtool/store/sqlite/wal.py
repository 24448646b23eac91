"""Chooses the journal mode of a store, checkpoints its WAL, and preallocates space in it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw

CHECKPOINT_PAGES = 4000  # pages of WAL until they go into the file: most are written again and again, and go there once
SMALL_COMMIT_PAGES = 32  # pages of WAL: one event and its deliveries need fewer
PREALLOCATED_BYTES = 512 * 1024  # bytes that are laid out at once
FRAME_HEADER_BYTES = 24  # bytes before every page in the WAL (https://sqlite.org/fileformat2.html#walformat)
NETWORK_DISKS = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "lustre", "gpfs", "ceph")


def is_wal_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the fix of the WAL-reset bug that 3.7.0 to 3.51.2 have (https://sqlite.org/changes.html)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


def detect_file_system(path: Path) -> str:
    """The type of the file system that holds a path, as Linux names it; "" where that cannot be told."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    longest_mount, file_system = "", ""
    for fields in (line.split(" ") for line in lines):
        mount = fields[4].replace("\\040", " ")
        if len(mount) >= len(longest_mount) and path.is_relative_to(mount):
            longest_mount, file_system = mount, fields[fields.index("-") + 1]
    return file_system


class JournalChoice(NamedTuple):
    """How SQLite keeps transactions whole, and why in this way."""

    mode: str  # wal | delete
    reason: str


def choose_journal(folder: Path) -> JournalChoice:
    """WAL where it is safe, a rollback journal where the SQLite or the disk is not made for it."""
    version, disk = apsw.sqlite_lib_version(), detect_file_system(folder)
    major, minor, patch = (int(part) for part in version.split("."))
    if not is_wal_safe((major, minor, patch)):
        return JournalChoice("delete", f"SQLite {version} has the WAL-reset bug")
    if disk in NETWORK_DISKS:
        return JournalChoice("delete", f"the disk is a network disk ({disk})")
    return JournalChoice("wal", f"SQLite {version} has no WAL-reset bug, the disk is local")


def manage_wal(connection: apsw.Connection, wal: str) -> None:
    """Makes checkpoints of a connection in WAL mode, and lays the file `wal` out ahead of small commits.

    In a file that grows, a commit costs the disk two writes, one after the other: its bytes, and where they lie. So the
    WAL is made longer with zeros, which SQLite takes for its end, many commits' worth at a time.
    """
    page_size = connection.pragma("page_size")
    assert isinstance(page_size, int)
    previous_pages, preallocated = 0, 0

    def on_commit(_: apsw.Connection, name: str, pages: int) -> int:
        nonlocal previous_pages, preallocated
        if pages >= CHECKPOINT_PAGES:
            with suppress(apsw.Error):  # the commit is in the WAL: the next one tries again
                connection.wal_checkpoint(name)
        elif (
            pages - previous_pages <= SMALL_COMMIT_PAGES
            and (needed_bytes := (pages + SMALL_COMMIT_PAGES) * (page_size + FRAME_HEADER_BYTES)) > preallocated
        ):
            preallocated = preallocate(wal, needed_bytes)
        previous_pages = pages
        return apsw.SQLITE_OK

    connection.set_wal_hook(on_commit)


def preallocate(file: str, needed_bytes: int) -> int:
    """Makes a file longer with zeros if it has not as many bytes as are needed; how many it has then.

    Others may write the file meanwhile: what is appended is never put over what they have written.
    """
    with suppress(OSError):
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
        try:
            length = os.fstat(descriptor).st_size
            if length >= needed_bytes:
                return length
            return length + os.write(descriptor, bytes(PREALLOCATED_BYTES))
        finally:
            os.close(descriptor)
    return 0
