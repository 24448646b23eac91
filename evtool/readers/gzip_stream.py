"""Texts that were packed with gzip, given as far as they are sound before any damage is told."""

import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_CHUNK = 1 << 16
_GZIP = 31  # for zlib: there are gzip's header and trailer (RFC 1952), and the trailer's sum is checked
_MAGIC = 0x1F  # every member begins with it


class Unpacked(io.RawIOBase):
    """The text of a gzip file, of one member after the other; zeros behind the last are padding.

    Everything before damage is read before OSError is raised. (gzip.GzipFile drops what it has unpacked but not given.)
    """

    def __init__(self, packed: io.BufferedIOBase):
        self._parts = _parts(packed)
        self._part = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is unpacked already, or the next part, into a buffer; how many bytes that is."""
        part = self._part or memoryview(next(self._parts, b""))
        size = min(len(buffer), len(part))
        buffer[:size], self._part = part[:size], part[size:]
        return size


def _parts(packed: io.BufferedIOBase) -> Iterator[bytes]:
    """The text, in parts of up to _CHUNK bytes; an empty one where it ends before something that is not gzip."""
    rest = packed.read1(_CHUNK)
    while rest:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            before = member.copy()
            try:
                part = member.decompress(rest, _CHUNK) if rest else member.flush()
            except zlib.error:
                if part := _sound(before, rest):
                    yield part
                raise OSError(0, "it is damaged, or not gzip") from None
            if part:
                yield part
            if not rest:
                raise OSError(0, "its compressed text is cut off")
            rest = member.unconsumed_tail or (b"" if member.eof else packed.read1(_CHUNK))
        rest = member.unused_data.lstrip(b"\0")
        while not rest and (more := packed.read1(_CHUNK)):
            rest = more.lstrip(b"\0")
        if rest and rest[0] != _MAGIC:
            yield b""
            raise OSError(0, "there is something else after the end of its compressed text")


def _sound(member: Any, damaged: bytes) -> bytes:
    """What can be unpacked before the damage: zlib gives nothing of what it meets the damage in."""
    sound = bytearray()
    with suppress(zlib.error):
        for at in range(len(damaged)):
            sound += member.decompress(damaged[at : at + 1])
    return bytes(sound)
