"""Reads the bodies of requests into memory, with limits for each one and for all of them together."""

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from evtool.server.http.errors import HttpError

MAX_BODY_BYTES = 6 << 20  # bytes of one body
# The limit in bytes for a longer body that is received and dropped. A client that is cut off earlier does not read the
# response.
MAX_DISCARDED_BYTES = 64 << 20
# The limit in bytes for all bodies in memory at a time.
MAX_BUFFERED_BYTES = 128 << 20
READABLE_CODINGS = ("identity", "", "gzip", "x-gzip")
TOO_LARGE = f"the body of the request has more than {MAX_BODY_BYTES:,} bytes; send the events in several requests"


class BodyReader:
    """Counts the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self.buffered = 0

    def read(self, scope: Scope, receive: Receive) -> "Body":
        """Returns the body of a request, to be used with `async with`."""
        return Body(self, Headers(scope=scope), receive)


class Body:
    """The body of one request, in memory until the block ends.

    Entering raises HttpError 413 (too long), 415 (a coding that is not known) and 503 (no room), and ClientDisconnect.
    """

    def __init__(self, reader: BodyReader, headers: Headers, receive: Receive):
        self._reader, self._headers, self._receive = reader, headers, receive
        self._parts: list[bytes] = []

    async def __aenter__(self) -> bytes:
        check_coding(self._headers)
        check_expectation(self._headers)
        try:
            await self._receive_parts()
        except BaseException:
            self._release()
            raise
        if len(self._parts) == 1:
            return self._parts[0]
        return b"".join(self._parts)

    async def __aexit__(self, *_: object) -> None:
        self._release()

    async def _receive_parts(self) -> None:
        length = 0
        has_more = True
        while has_more and length <= MAX_DISCARDED_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            has_more = message.get("more_body", False)
            length += len(part)
            if length <= MAX_BODY_BYTES:
                self._keep(part)
        if length > MAX_BODY_BYTES:
            raise HttpError(413, TOO_LARGE)

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._reader.buffered += len(part)
        if self._reader.buffered > MAX_BUFFERED_BYTES:
            raise HttpError(503, "too many requests are being received at a time; send this one again")

    def _release(self) -> None:
        for part in self._parts:
            self._reader.buffered -= len(part)
        self._parts = []


def check_coding(headers: Headers) -> None:
    """Raises HttpError for a Content-Encoding that cannot be read."""
    coding = headers.get("content-encoding")
    if coding is None:
        return
    coding = coding.strip().lower()
    if coding not in READABLE_CODINGS:
        message = f"a body with Content-Encoding: {coding[:40]} cannot be read; send it as it is, or with gzip"
        raise HttpError(415, message)


def check_expectation(headers: Headers) -> None:
    """Raises HttpError if the client waits for the permission to send a body that is too long."""
    if "expect" in headers and int(headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise HttpError(413, TOO_LARGE, headers={"Connection": "close"})
