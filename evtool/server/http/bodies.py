"""Reads the bodies of requests into memory, with limits for each one and for all of them together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from evtool.server.http.errors import HttpError

MAX_BODY_BYTES = 6 << 20  # bytes of one body
MAX_DISCARDED_BYTES = 64 << 20  # bytes of a longer body that are read, so that its sender gets to read the response
MAX_BUFFERED_BYTES = 128 << 20  # bytes of all bodies that are in memory at a time
READABLE_CODINGS = ("identity", "", "gzip", "x-gzip")
TOO_LARGE = f"the body of the request has more than {MAX_BODY_BYTES:,} bytes; send the events in several requests"


class BodyReader:
    """Counts the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self._buffered = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request. Raises HttpError 413 (too long), 415 (a coding that is not known), 503 (no room)."""
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in READABLE_CODINGS:
            raise HttpError(
                415, f"a body with Content-Encoding: {coding[:40]} cannot be read; send it as it is, or with gzip"
            )
        parts: list[bytes] = []
        length = 0
        try:
            if "expect" in request.headers and int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
                raise HttpError(413, TOO_LARGE, headers={"Connection": "close"})  # it waits with the body
            async for part in request.stream():
                length += len(part)
                if length > MAX_DISCARDED_BYTES:
                    break
                if length <= MAX_BODY_BYTES:
                    self._buffered += len(part)
                    parts.append(part)
                    if self._buffered > MAX_BUFFERED_BYTES:
                        raise HttpError(503, "too many requests are being received at a time; send this one again")
            if length > MAX_BODY_BYTES:
                raise HttpError(413, TOO_LARGE)
            if len(parts) == 1:
                yield parts[0]
            else:
                yield b"".join(parts)
        finally:
            self._buffered -= sum(map(len, parts))
