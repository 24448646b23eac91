"""Raw streams that report how many bytes were read."""

import io
from collections.abc import Callable
from errno import EAGAIN

_NO_DATA = "it has nothing to read now, and may never have"


class FileStream(io.FileIO):
    """A file on the disk; `on_bytes` is called with the number of bytes of each read. It takes over the descriptor.

    Some that look like files have nothing to read at the moment (those of /proc): OSError is raised, they do not end.
    """

    def __init__(self, descriptor: int, on_bytes: Callable[[int], None] | None = None):
        super().__init__(descriptor)
        self._on_bytes = on_bytes

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        size: int | None = super().readinto(buffer)
        if size is None:
            raise BlockingIOError(EAGAIN, _NO_DATA)
        if self._on_bytes:
            self._on_bytes(size)
        return size


class ChunkStream(io.RawIOBase):
    """The bytes that `read_chunk` returns; `on_bytes` is called with the number of bytes of each chunk."""

    def __init__(self, read_chunk: Callable[[int], bytes], on_bytes: Callable[[int], None] | None = None):
        self._read_chunk = read_chunk
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        data = self._read_chunk(len(buffer))
        buffer[: len(data)] = data
        if self._on_bytes:
            self._on_bytes(len(data))
        return len(data)
