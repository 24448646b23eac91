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
# The journal mode in the header of a database without a WAL, such as a backup.
ROLLBACK = b"\1\1"
# Magic, format, page size, checkpoints, salts, checksum.
WAL_HEADER = struct.Struct(">IIII8s8s")
# Page number, size of the database after a commit, salts, checksum.
FRAME_HEADER = struct.Struct(">II8s8s")
# The byte order of checksums, by the magic of the WAL.
WORD_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
# Magic, records, pages of the database before the transaction, sector size, page size.
JOURNAL_HEADER = struct.Struct(">8sI4xIII")
JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
# This number of records means that they continue to the end of the journal.
UNCOUNTED = 0xFFFFFFFF
# All migrations together change the schema fewer times. Each change increments the cookie.
MAX_SCHEMA_CHANGES = 1000
# A side file is refused only if it looks foreign this many times: other processes may replace the files meanwhile.
LOOKS = 3


class _Header(NamedTuple):
    """The header of a database, from one version of page 1."""

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
        """Whether `later` may be a later version, with a change counter that is greater by one of `changes`."""
        schema_changes = (later.schema_cookie - self.schema_cookie) % (1 << 32)
        # A cookie of 0 means that the database has no tables yet.
        is_same_store = self.schema_cookie == 0 or schema_changes < MAX_SCHEMA_CHANGES
        return is_same_store and (later.change_counter - self.change_counter) % (1 << 32) in changes


def find_foreign_file(file: Path) -> str | None:
    """Returns the suffix of a side file that belongs to another store; None if there is none."""
    database = os.path.realpath(file)
    for suffix in find_journals(file):
        if all(_is_foreign(database, suffix) for _ in range(LOOKS)):
            return suffix
    return None


def randomize_schema_cookie(connection: apsw.Connection) -> None:
    """Makes a new database distinguishable from all others. No other connection may have read its tables yet."""
    # SQLite has 31 bits for the cookie. A store that was created without this call has a small one.
    cookie = int.from_bytes(os.urandom(4)) >> 1
    connection.pragma("schema_version", max(cookie, 2 * MAX_SCHEMA_CHANGES))


def _is_foreign(database: str, suffix: str) -> bool:
    """Whether a side file shows that it belongs to another database. A file that changes meanwhile is in use."""
    with suppress(OSError), open(database + suffix, "rb", buffering=0) as side_file:  # noqa: PTH123
        start = side_file.read(WAL_HEADER.size)
        # Read before the frames of the WAL: a checkpoint may copy them into the database at any time.
        header = _read_header(database)
        if len(header.raw) < HEADER_BYTES or not header.raw.startswith(b"SQLite format 3\0"):
            # The database is being created, or SQLite refuses it.
            return False
        if suffix == WAL:
            foreign = _is_foreign_wal(header, side_file)
        else:
            foreign = _is_foreign_journal(header, side_file)
        return foreign and os.pread(side_file.fileno(), WAL_HEADER.size, 0) == start
    return False


def _read_header(database: str) -> _Header:
    """Reads the header of a database.

    It uses SQLite's VFS, since closing another descriptor of the file would release the locks that this process holds
    (https://sqlite.org/howtocorrupt.html).
    """
    file = apsw.VFSFile("", database, [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0])
    try:
        return _Header(file.xRead(HEADER_BYTES, 0))
    finally:
        file.xClose()


def _is_foreign_wal(header: _Header, wal: FileIO) -> bool:
    """Whether a WAL belongs to another database.

    The database has page 1 as it was before the first version in its WAL, or as a checkpoint copied it from the WAL.
    """
    # SQLite removes the WAL before it sets this mode, so this database is a backup.
    if header.journal_mode == ROLLBACK:
        return True
    start = os.pread(wal.fileno(), WAL_HEADER.size, 0)
    if len(start) < WAL_HEADER.size:
        return False
    magic, _, page_size, checkpoints, _, checksum = WAL_HEADER.unpack(start)
    # SQLite ignores a WAL whose header is not valid.
    if magic not in WORD_ORDERS or _checksum(WORD_ORDERS[magic], bytes(8), start[:24]) != checksum:
        return False
    if page_size != header.page_size:
        return True
    # A connection that wrote before the last checkpoint does not increment the counter again.
    changes: tuple[int, ...] = (1,)
    if checkpoints:
        changes = (0, 1)
    first: _Header | None = None
    for version in _read_first_pages(wal, WORD_ORDERS[magic], page_size):
        if version == header:
            return False
        if first is None and header.precedes(version, changes):
            return False
        first = first or version
    return first is not None


def _read_first_pages(wal: FileIO, word_order: str, page_size: int) -> Iterator[_Header]:
    """Yields the versions of page 1 in a WAL, in the order in which they were written."""
    offset = WAL_HEADER.size
    _, _, _, _, salts, checksum = WAL_HEADER.unpack(os.pread(wal.fileno(), WAL_HEADER.size, 0))
    while True:
        start = os.pread(wal.fileno(), FRAME_HEADER.size, offset)
        if len(start) != FRAME_HEADER.size:
            return
        page_number, _, frame_salts, frame_checksum = FRAME_HEADER.unpack(start)
        # A frame with other salts is older than the last restart of the WAL.
        if frame_salts != salts:
            return
        if page_number == 1:
            page = os.pread(wal.fileno(), page_size, offset + FRAME_HEADER.size)
            if _checksum(word_order, checksum, start[:8] + page) == frame_checksum:
                yield _Header(page[:HEADER_BYTES])
        checksum = frame_checksum
        offset += FRAME_HEADER.size + page_size


def _checksum(word_order: str, previous: bytes, content: bytes) -> bytes:
    """Returns the checksum of a WAL up to the end of `content` (https://sqlite.org/fileformat2.html#walcksm)."""
    first, second = struct.unpack(">II", previous)
    words = struct.unpack(f"{word_order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return struct.pack(">II", first, second)


def _is_foreign_journal(header: _Header, journal: FileIO) -> bool:
    """Whether a rollback journal belongs to another database.

    The journal of a database has page 1 as it is in the file, or one version older.
    """
    start = os.pread(journal.fileno(), JOURNAL_HEADER.size, 0)
    # SQLite ignores a journal without the magic number, which it writes before it changes the database.
    if len(start) < JOURNAL_HEADER.size or not start.startswith(JOURNAL_MAGIC):
        return False
    _, records, pages, sector_size, page_size = JOURNAL_HEADER.unpack(start)
    if page_size != header.page_size:
        return True
    if records == UNCOUNTED:
        records = pages
    for number in range(records):
        record = os.pread(journal.fileno(), 4 + HEADER_BYTES, sector_size + number * (page_size + 8))
        if len(record) < 4 + HEADER_BYTES:
            break
        if record[:4] == b"\0\0\0\1":
            return not _Header(record[4:]).precedes(header, (0, 1))
    # In WAL mode only a change of the journal mode writes a journal, and that has page 1.
    return header.journal_mode != ROLLBACK
