"""Decompresses gzip files. Returns all data before a damaged part, then raises the error."""

import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_CHUNK = 1 << 16
# Makes zlib expect the header and the trailer of gzip (RFC 1952), and check the sum in the trailer.
_GZIP_WBITS = 31
# The first byte of every member.
_MAGIC_BYTE = 0x1F


class GzipStream(io.RawIOBase):
    """The text of a gzip file. The file may have several members, and zeros as padding after the last one.

    Returns everything before a damaged part, then raises OSError. Python's gzip.GzipFile would drop the data that it
    has decompressed but not returned yet.
    """

    def __init__(self, compressed: io.BufferedIOBase):
        self._chunks = _decompress(compressed)
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """Returns True: the stream can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copies decompressed data into a buffer. Returns the number of bytes."""
        chunk = self._chunk or memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(chunk))
        buffer[:size], self._chunk = chunk[:size], chunk[size:]
        return size


def _decompress(compressed: io.BufferedIOBase) -> Iterator[bytes]:
    """Yields the text in parts of at most _CHUNK bytes. An empty part ends it before data that is not gzip."""
    pending = compressed.read1(_CHUNK)
    while pending:
        member = zlib.decompressobj(_GZIP_WBITS)
        while not member.eof:
            # zlib discards its output when it finds damage. From the copy, the part before the damage can be repeated.
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
            pending = member.unconsumed_tail
            if not pending and not member.eof:
                pending = compressed.read1(_CHUNK)
        pending = _skip_padding(member.unused_data, compressed)
        if pending and pending[0] != _MAGIC_BYTE:
            yield b""
            raise OSError(0, "there is something else after the end of its compressed text")


def _skip_padding(data: bytes, compressed: io.BufferedIOBase) -> bytes:
    """Returns the data after zeros, which tapes and some tools add at the end; b"" at the end of the file."""
    rest = data.lstrip(b"\0")
    while not rest:
        data = compressed.read1(_CHUNK)
        if not data:
            return b""
        rest = data.lstrip(b"\0")
    return rest


def _decompress_until_damage(member: Any, data: bytes) -> bytes:
    """Returns the text before damage in `data`, found byte by byte."""
    output = bytearray()
    with suppress(zlib.error):
        for index in range(len(data)):
            output += member.decompress(data[index : index + 1])
    return bytes(output)
