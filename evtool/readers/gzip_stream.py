"""Decompresses gzip files. All data before a damaged part is returned before the error is raised."""

import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_CHUNK = 1 << 16
_GZIP_WBITS = 31  # for zlib: there are gzip's header and trailer (RFC 1952), and the trailer's sum is checked
_MAGIC_BYTE = 0x1F  # every member begins with it


class GzipStream(io.RawIOBase):
    """The text of a gzip file, of one member after the other; zeros behind the last are padding.

    Everything before damage is read before OSError is raised. (gzip.GzipFile drops what it has unpacked but not given.)
    """

    def __init__(self, compressed: io.BufferedIOBase):
        self._chunks = _decompress(compressed)
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is unpacked already, or the next part, into a buffer; how many bytes that is."""
        chunk = self._chunk or memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(chunk))
        buffer[:size], self._chunk = chunk[:size], chunk[size:]
        return size


def _decompress(compressed: io.BufferedIOBase) -> Iterator[bytes]:
    """The text, in parts of up to _CHUNK bytes; an empty one where it ends before something that is not gzip."""
    pending = compressed.read1(_CHUNK)
    while pending:
        member = zlib.decompressobj(_GZIP_WBITS)
        while not member.eof:
            checkpoint = member.copy()
            try:
                if pending:
                    chunk = member.decompress(pending, _CHUNK)
                else:
                    chunk = member.flush()
            except zlib.error:
                chunk = _decompress_until_damage(checkpoint, pending)
                if chunk:
                    yield chunk
                raise OSError(0, "it is damaged, or not gzip") from None
            if chunk:
                yield chunk
            if not pending:
                raise OSError(0, "its compressed text is cut off")
            pending = member.unconsumed_tail or (b"" if member.eof else compressed.read1(_CHUNK))
        pending = member.unused_data.lstrip(b"\0")
        while not pending and (next_bytes := compressed.read1(_CHUNK)):
            pending = next_bytes.lstrip(b"\0")
        if pending and pending[0] != _MAGIC_BYTE:
            yield b""
            raise OSError(0, "there is something else after the end of its compressed text")


def _decompress_until_damage(member: Any, data: bytes) -> bytes:
    """What can be unpacked before the damage: zlib gives nothing of what it meets the damage in."""
    output = bytearray()
    with suppress(zlib.error):
        for index in range(len(data)):
            output += member.decompress(data[index : index + 1])
    return bytes(output)
