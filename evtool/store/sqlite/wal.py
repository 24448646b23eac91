"""Chooses the journal mode of a store, checkpoints its WAL, and preallocates space in it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw

# A checkpoint copies the WAL into the database when it has this many pages. Most pages are written many times before,
# and are copied once.
CHECKPOINT_PAGES = 4000
# A commit of one event and its deliveries has fewer pages.
SMALL_COMMIT_PAGES = 32
# Bytes that are preallocated at a time.
PREALLOCATED_BYTES = 512 * 1024
# Bytes before each page in the WAL (https://sqlite.org/fileformat2.html#walformat).
FRAME_HEADER_BYTES = 24
NETWORK_DISKS = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "lustre", "gpfs", "ceph")


def is_wal_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the fix of the WAL-reset bug that 3.7.0 to 3.51.2 have (https://sqlite.org/changes.html)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


def detect_file_system(path: Path) -> str:
    """Returns the type of the file system of a path, as Linux names it; "" if it is not known."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    longest_mount, file_system = "", ""
    for line in lines:
        fields = line.split(" ")
        mount = fields[4].replace("\\040", " ")
        if len(mount) >= len(longest_mount) and path.is_relative_to(mount):
            longest_mount, file_system = mount, fields[fields.index("-") + 1]
    return file_system


class JournalChoice(NamedTuple):
    """The journal mode of a store (`wal` or `delete`), and the reason for it."""

    mode: str
    reason: str


def choose_journal(folder: Path) -> JournalChoice:
    """Chooses WAL if it is safe with this SQLite and this disk, else a rollback journal."""
    version, disk = apsw.sqlite_lib_version(), detect_file_system(folder)
    major, minor, patch = map(int, version.split("."))
    if not is_wal_safe((major, minor, patch)):
        return JournalChoice("delete", f"SQLite {version} has the WAL-reset bug")
    if disk in NETWORK_DISKS:
        return JournalChoice("delete", f"the disk is a network disk ({disk})")
    return JournalChoice("wal", f"SQLite {version} has no WAL-reset bug, the disk is local")


def manage_wal(connection: apsw.Connection, wal: str) -> None:
    """Runs the checkpoints of a connection in WAL mode, and preallocates space in the file `wal` for small commits.

    If a commit makes a file longer, the disk writes twice, one after the other: the bytes, and the new length. So zeros
    for many commits are appended at a time. SQLite treats them as the end of the WAL.
    """
    page_size = connection.pragma("page_size")
    assert isinstance(page_size, int)
    previous_pages, preallocated = 0, 0

    def on_commit(_: apsw.Connection, name: str, pages: int) -> int:
        nonlocal previous_pages, preallocated
        if pages >= CHECKPOINT_PAGES:
            # The commit itself is safe in the WAL. The next commit tries the checkpoint again.
            with suppress(apsw.Error):
                connection.wal_checkpoint(name)
        elif pages - previous_pages <= SMALL_COMMIT_PAGES:
            needed_bytes = (pages + SMALL_COMMIT_PAGES) * (page_size + FRAME_HEADER_BYTES)
            if needed_bytes > preallocated:
                preallocated = preallocate(wal, needed_bytes)
        previous_pages = pages
        return apsw.SQLITE_OK

    connection.set_wal_hook(on_commit)


def preallocate(file: str, needed_bytes: int) -> int:
    """Appends zeros to a file if it is shorter than `needed_bytes`, and returns its length.

    Other processes may write the file at the same time. Appending never overwrites their bytes.
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
