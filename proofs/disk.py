"""Disk under SQLite: a VFS that records or fails writes and syncs, and a model of the files after a power cut.

Example of a power cut, with two sectors per write:

    Write("store.db-wal", 0, A + B)     pending: A, B
    Sync("store.db-wal")                on the disk: A, B
    Write("store.db-wal", 1024, C + D)  pending: C, D
    cut                                 A and B, and any of: nothing, C, D (after zeros), C and D
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest.mock import patch

import apsw

# Bytes that the disk writes completely or not.
SECTOR = 512


class Write(NamedTuple):
    """Bytes written to a file."""

    name: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A change of a file's length."""

    name: str
    size: int


class Sync(NamedTuple):
    """A sync of a file: its earlier writes are on the disk afterwards, and if the file is new, all names are."""

    name: str


class Create(NamedTuple):
    """Creation of an empty file."""

    name: str


class Delete(NamedTuple):
    """Deletion of a file. `synced` means that its folder, and so every name, is on the disk afterwards."""

    name: str
    synced: bool


class Output(NamedTuple):
    """Text that evtool printed between two changes. If it acknowledges an event, earlier changes must contain it."""

    text: str


Change = Write | Truncate | Sync | Create | Delete | Output
# Called before each change. An exception that it raises is the failure of the change.
Observer = Callable[[Change], None]


# --- between SQLite and the file system ------------------------------------------------------------------------------


class _File(apsw.VFSFile):
    """A file that reports its changes to an observer."""

    def __init__(self, name: apsw.URIFilename | str | None, flags: list[int], observe: Observer):
        path = name
        if isinstance(path, apsw.URIFilename):
            path = path.filename()
        self._name = Path(path or "").name
        self._observe = observe
        if not path:
            # SQLite opens temporary files without a name. Nobody misses them after a power cut.
            self._observe = _ignore
        elif not Path(path).exists():
            self._observe(Create(self._name))
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._observe(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._observe(Truncate(self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._observe(Sync(self._name))
        super().xSync(flags)


def _ignore(change: Change) -> None:
    del change


class _Disk(apsw.VFS):
    """SQLite's usual file system with an observer. It becomes the default, so evtool needs no change to use it."""

    def __init__(self, observe: Observer):
        self._observe = observe
        super().__init__("proof", "unix", makedefault=True)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> _File:  # noqa: N802
        return _File(name, flags, self._observe)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        if Path(filename).exists():
            self._observe(Delete(Path(filename).name, bool(syncdir)))
        super().xDelete(filename, syncdir)

    def excepthook(self, *_: object) -> bool:
        """Ignores a failure that SQLite cannot report to a caller; SQLite continues without the change."""
        return True


class _Connection(apsw.Connection):
    """A connection that ignores failures of its close, as SQLite does. APSW raises the exceptions of a Python VFS."""

    def close(self, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Closes the connection."""
        with suppress(apsw.IOError, apsw.FullError, apsw.CantOpenError):
            super().close(force)


@contextmanager
def observed_disk(observe: Observer) -> Iterator[None]:
    """Inside, SQLite reports all its changes of the disk. Only for processes that end afterwards."""
    disk = _Disk(observe)
    with patch.object(apsw, "Connection", _Connection):
        yield
    # SQLite unregisters the VFS when the object is freed, so a reference must exist until here.
    del disk


# --- the disk after a power cut --------------------------------------------------------------------------------------


class _Content:
    """A file's content: the synced bytes, and the changes since the last sync, which may survive in part."""

    def __init__(self) -> None:
        self._safe = bytearray()
        self._pending: list[Write | Truncate] = []

    def change(self, change: Write | Truncate) -> None:
        self._pending.append(change)

    def sync(self) -> None:
        for change in self._pending:
            _apply(self._safe, change)
        self._pending.clear()

    def after_cut(self, random: Random, chance: float) -> bytes:
        content = bytearray(self._safe)
        for change in self._pending:
            for part in _sectors(change):
                if random.random() < chance:
                    _apply(content, part)
        return bytes(content)


def _sectors(change: Write | Truncate) -> Iterator[Write | Truncate]:
    if isinstance(change, Truncate):
        yield change
        return
    start = change.offset
    end = change.offset + len(change.data)
    while start < end:
        sector_end = min(end, (start // SECTOR + 1) * SECTOR)
        yield Write(change.name, start, change.data[start - change.offset : sector_end - change.offset])
        start = sector_end


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        _fill(content, change.size)
        del content[change.size :]
        return
    _fill(content, change.offset)
    content[change.offset : change.offset + len(change.data)] = change.data


def _fill(content: bytearray, size: int) -> None:
    """Appends zeros up to this size, as a file system does for a write beyond the end."""
    content.extend(bytes(max(0, size - len(content))))


class Platter:
    """Replays the changes of a store's files, and returns the files as a power cut would leave them."""

    def __init__(self, name: str):
        self._now = {name: _Content()}
        # The names that are on the disk for certain, with their contents.
        self._safe = dict(self._now)

    def play(self, change: Change) -> None:
        """Applies a change. Output changes nothing."""
        match change:
            case Write() | Truncate():
                self._now[change.name].change(change)
            case Sync(name):
                self._now[name].sync()
                # SQLite syncs the folder together with a new file.
                if self._safe.get(name) is not self._now[name]:
                    self._safe = dict(self._now)
            case Create(name):
                self._now[name] = _Content()
            case Delete(name, synced):
                del self._now[name]
                if synced:
                    self._safe = dict(self._now)

    def cut(self, random: Random) -> dict[str, bytes]:
        """Returns the files after a power cut now: everything synced, and a random part of the other changes."""
        chance = random.choice([0, 0.1, 0.5, 0.9, 1, random.random()])
        files = {}
        for name in sorted(self._now.keys() | self._safe.keys()):
            names = self._safe
            if random.random() < chance:
                names = self._now
            content = names.get(name)
            if content:
                files[name] = content.after_cut(random, chance)
        return files
