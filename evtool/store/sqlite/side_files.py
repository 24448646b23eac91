"""Checks that the -wal and the -journal beside a store belong to it: SQLite writes the pages in them into any file.

If a backup takes the place of a store, the side files of the old store may still be there. Page 1 of a database begins
with a header, and every writer puts page 1 into the -wal or, as it was before, into the -journal. Two fields of the
header show whether two versions of page 1 belong together (https://sqlite.org/fileformat2.html):

- the schema cookie, a random number in every store and every backup (see `randomize_schema_cookie`),
- the change counter, which each writer makes larger by one.

A side file that gives no evidence, for example because a power cut damaged it, belongs to the store.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import apsw

from evtool.store.sqlite.files import WAL, find_journals

HEADER_BYTES = 100
ROLLBACK = b"\1\1"  # the journal mode of a database without a WAL, such as a backup
WAL_HEADER = struct.Struct(">IIII8s8s")  # magic, format, page size, checkpoints, salts, checksum
FRAME_HEADER = struct.Struct(">II8s8s")  # page number, size of the database after a commit, salts, checksum
WORD_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}  # of checksums, by the magic of the WAL
JOURNAL_HEADER = struct.Struct(">8sI4xIII")  # magic, records, pages of the database before, sector size, page size
JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
UNCOUNTED = 0xFFFFFFFF  # the records of a journal go on to its end
MAX_SCHEMA_CHANGES = 1000  # of all migrations together: each statement makes the cookie larger by one
LOOKS = 3  # other processes may replace what is read: a side file is refused only if it looks foreign each time


class _Header(NamedTuple):
    """The header of a database, as a version of page 1 has it."""

    raw: bytes

    @property
    def journal_mode(self) -> bytes:
        return self.raw[18:20]

    @property
    def page_size(self) -> int:
        if self.raw[16:18] != b"\0\1":
            return int.from_bytes(self.raw[16:18])
        return 65536

    @property
    def change_counter(self) -> int:
        return int.from_bytes(self.raw[24:28])

    @property
    def schema_cookie(self) -> int:
        return int.from_bytes(self.raw[40:44])

    def precedes(self, later: "_Header", changes: tuple[int, ...]) -> bool:
        """Whether `later` may be a later version, with a change counter that is larger by one of `changes`."""
        schema_changes = (later.schema_cookie - self.schema_cookie) % (1 << 32)
        is_same_store = self.schema_cookie == 0 or schema_changes < MAX_SCHEMA_CHANGES  # 0: it has no tables yet
        return is_same_store and (later.change_counter - self.change_counter) % (1 << 32) in changes


def find_foreign_file(file: Path) -> str | None:
    """The suffix of a side file that belongs to another store than the one it lies beside; None if there is none."""
    database = os.path.realpath(file)
    for suffix in find_journals(file):
        if all(_is_foreign(database, suffix) for _ in range(LOOKS)):
            return suffix
    return None


def randomize_schema_cookie(connection: apsw.Connection) -> None:
    """Makes a new database distinguishable from all others. No other connection may have read its tables yet."""
    cookie = int.from_bytes(os.urandom(4)) >> 1  # SQLite has 31 bits for it
    connection.pragma("schema_version", max(cookie, 2 * MAX_SCHEMA_CHANGES))  # a store without it has a small one


def _is_foreign(database: str, suffix: str) -> bool:
    """Whether a side file shows that it belongs to another database. If it changes meanwhile, somebody uses it."""
    with suppress(OSError), open(database + suffix, "rb", buffering=0) as side_file:  # noqa: PTH123
        start = side_file.read(WAL_HEADER.size)
        header = _read_header(database)  # before the frames of the WAL: a checkpoint may add what they hold
        if len(header.raw) < HEADER_BYTES or not header.raw.startswith(b"SQLite format 3\0"):
            return False  # it is being made, or SQLite refuses it
        if suffix == WAL:
            foreign = _is_foreign_wal(header, side_file)
        else:
            foreign = _is_foreign_journal(header, side_file)
        return foreign and os.pread(side_file.fileno(), WAL_HEADER.size, 0) == start
    return False


def _read_header(database: str) -> _Header:
    """The header of a database. Read by SQLite's VFS: closing another descriptor would end the locks
    that this process has on the file (https://sqlite.org/howtocorrupt.html).
    """
    file = apsw.VFSFile("", database, [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0])
    try:
        return _Header(file.xRead(HEADER_BYTES, 0))
    finally:
        file.xClose()


def _is_foreign_wal(header: _Header, wal: FileIO) -> bool:
    """The file has page 1 as it was before the first version in the WAL, or as a checkpoint took it from the WAL."""
    if header.journal_mode == ROLLBACK:  # SQLite removes the WAL before it leaves this mode: this file is a backup
        return True
    start = os.pread(wal.fileno(), WAL_HEADER.size, 0)
    if len(start) < WAL_HEADER.size:
        return False
    magic, _, page_size, checkpoints, _, checksum = WAL_HEADER.unpack(start)
    if magic not in WORD_ORDERS or _checksum(WORD_ORDERS[magic], bytes(8), start[:24]) != checksum:
        return False  # SQLite ignores it
    if page_size != header.page_size:
        return True
    # a connection that has written before the last checkpoint does not make the counter larger again
    changes = (0, 1) if checkpoints else (1,)
    first: _Header | None = None
    for version in _read_first_pages(wal, WORD_ORDERS[magic], page_size):
        if version == header:
            return False
        if first is None and header.precedes(version, changes):
            return False
        first = first or version
    return first is not None


def _read_first_pages(wal: FileIO, word_order: str, page_size: int) -> Iterator[_Header]:
    """The versions of page 1 in a WAL, in the order in which they were written."""
    offset, (*_, salts, checksum) = WAL_HEADER.size, WAL_HEADER.unpack(os.pread(wal.fileno(), WAL_HEADER.size, 0))
    while len(start := os.pread(wal.fileno(), FRAME_HEADER.size, offset)) == FRAME_HEADER.size:
        page_number, _, frame_salts, frame_checksum = FRAME_HEADER.unpack(start)
        if frame_salts != salts:  # older than the last restart of the WAL
            return
        if page_number == 1:
            page = os.pread(wal.fileno(), page_size, offset + FRAME_HEADER.size)
            if _checksum(word_order, checksum, start[:8] + page) == frame_checksum:
                yield _Header(page[:HEADER_BYTES])
        checksum = frame_checksum
        offset += FRAME_HEADER.size + page_size


def _checksum(word_order: str, previous: bytes, content: bytes) -> bytes:
    """The checksum of a WAL up to and with this content (https://sqlite.org/fileformat2.html#walcksm)."""
    first, second = struct.unpack(">II", previous)
    words = struct.unpack(f"{word_order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return struct.pack(">II", first, second)


def _is_foreign_journal(header: _Header, journal: FileIO) -> bool:
    """The journal has page 1 as it is in the file, or as it was one version before."""
    start = os.pread(journal.fileno(), JOURNAL_HEADER.size, 0)
    if len(start) < JOURNAL_HEADER.size or not start.startswith(JOURNAL_MAGIC):
        return False  # SQLite ignores it; it writes the magic number before it changes the file
    _, records, pages, sector_size, page_size = JOURNAL_HEADER.unpack(start)
    if page_size != header.page_size:
        return True
    for number in range(records if records != UNCOUNTED else pages):
        record = os.pread(journal.fileno(), 4 + HEADER_BYTES, sector_size + number * (page_size + 8))
        if len(record) < 4 + HEADER_BYTES:
            break
        if record[:4] == b"\0\0\0\1":
            return not _Header(record[4:]).precedes(header, (0, 1))
    return header.journal_mode != ROLLBACK  # only a change of the journal mode leaves a journal there, which has page 1
