"""The disk under SQLite: a VFS that records what is written and synced, or fails it, and the disk after a power cut."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest.mock import patch

import apsw

SECTOR = 512  # bytes that are written together or not at all


class Write(NamedTuple):
    """Bytes written to a file."""

    name: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file cut off."""

    name: str
    size: int


class Sync(NamedTuple):
    """All that was written to a file is on the disk when this returns; if the file is new, all names are, too."""

    name: str


class Create(NamedTuple):
    """A new file, empty."""

    name: str


class Delete(NamedTuple):
    """A file taken away; `synced` when its folder, and so every name, is on the disk as it returns."""

    name: str
    synced: bool


class Said(NamedTuple):
    """What evtool told meanwhile: no change of the disk, but what was told must be there."""

    text: str


Change = Write | Truncate | Sync | Create | Delete | Said
Seen = Callable[[Change], None]  # called before the change is made; what it raises is the failure


# --- between SQLite and the file system ------------------------------------------------------------------------------


class _File(apsw.VFSFile):
    """A file whose changes are seen."""

    def __init__(self, name: apsw.URIFilename | str | None, flags: list[int], seen: Seen):
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name, self._seen = Path(path or "").name, seen if path else lambda _: None  # no name: nothing to keep
        if not Path(path or "/").exists():
            self._seen(Create(self._name))
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._seen(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._seen(Truncate(self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._seen(Sync(self._name))
        super().xSync(flags)


class _Disk(apsw.VFS):
    """The usual file system of SQLite, seen. It becomes the default: evtool knows nothing of it."""

    def __init__(self, seen: Seen):
        self._seen = seen
        super().__init__("proof", "unix", makedefault=True)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> _File:  # noqa: N802
        return _File(name, flags, self._seen)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        if Path(filename).exists():
            self._seen(Delete(Path(filename).name, bool(syncdir)))
        super().xDelete(filename, syncdir)

    def excepthook(self, *_: object) -> bool:
        """A failure that SQLite cannot report, it survives."""
        return True


class _Connection(apsw.Connection):
    """A connection that closes whatever the disk does: SQLite tells no failure then, but what a VFS raises is told."""

    def close(self, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Closes it."""
        with suppress(apsw.IOError, apsw.FullError, apsw.CantOpenError):
            super().close(force)


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Inside, all that SQLite changes on the disk is seen, for the rest of this process."""
    disk = _Disk(seen)
    with patch.object(apsw, "Connection", _Connection):
        yield
    del disk


# --- the disk after a power cut --------------------------------------------------------------------------------------


class _Content:
    """What of a file is on the disk for sure, and what may be there in part."""

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
    at, end = change.offset, change.offset + len(change.data)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        yield Write(change.name, at, change.data[at - change.offset : until - change.offset])
        at = until


def _apply(content: bytearray, change: Write | Truncate) -> None:
    size = change.size if isinstance(change, Truncate) else change.offset
    content.extend(bytes(max(0, size - len(content))))
    if isinstance(change, Truncate):
        del content[size:]
    else:
        content[size : size + len(change.data)] = change.data


class Platter:
    """The files of a store while changes are played back, and what a power cut would leave of them."""

    def __init__(self, *there: str):
        self._now = {name: _Content() for name in there}
        self._safe = dict(self._now)  # which names are on the disk, for which contents

    def play(self, change: Change) -> None:
        """Makes a change."""
        match change:
            case Write() | Truncate():
                self._now[change.name].change(change)
            case Sync(name):
                self._now[name].sync()
                if self._safe.get(name) is not self._now[name]:
                    self._safe = dict(self._now)  # a new file: SQLite syncs the folder with it
            case Create(name):
                self._now[name] = _Content()
            case Delete(name, synced):
                del self._now[name]
                if synced:
                    self._safe = dict(self._now)

    def cut(self, random: Random) -> dict[str, bytes]:
        """The files after a power cut now: all that was synced, and of the rest each sector, name and end or not."""
        chance = random.choice([0, 0.1, 0.5, 0.9, 1, random.random()])
        left = {}
        for name in sorted(self._now.keys() | self._safe.keys()):
            content = (self._now if random.random() < chance else self._safe).get(name)
            if content:
                left[name] = content.after_cut(random, chance)
        return left
