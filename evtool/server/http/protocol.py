"""uvicorn's HTTP protocol with limits on time, headers and connections, and with errors in JSON."""

import json
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from evtool.server.http.errors import build_error_body
from evtool.server.http.guards import MAX_HEADER_BYTES

_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
MAX_CONNECTIONS = 1000
# Seconds without a byte, in a request or before the first request.
IDLE_SECONDS = 20.0
# Seconds from the first byte of a request to its last byte.
REQUEST_SECONDS = 60.0
# Seconds in which a client must take what was sent.
WRITE_SECONDS = 30.0


def _ignore_upgrade(data: bytes) -> bytes:
    """Removes the offer to change the protocol from the beginning of a request: with it, the parser drops the body.

    Java's HttpClient offers HTTP/2 with its first request.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nignored-upgrade:", head) + end + rest


class LimitedProtocol(HttpToolsProtocol):
    """A connection. `enforce_time_limits` must be called about every second."""

    def connection_made(self, transport: Any) -> None:
        """Refuses a connection too many."""
        super().connection_made(transport)
        self._is_in_request = False
        # The bytes of the current request that are not its body.
        self._framing_bytes = 0
        self._last_read = self._request_start = self.loop.time()
        self._unwritten_since: float | None = None
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, f"there are {MAX_CONNECTIONS} connections; try again later")

    def data_received(self, data: bytes) -> None:
        """Reads what has come. Only the first response may be an error of the protocol: others belong to requests."""
        self._last_read = self.loop.time()
        if not self._is_in_request:
            self._request_start = self._last_read
            if b"pgrade" in data:
                data = _ignore_upgrade(data)
        self._framing_bytes += len(data)
        super().data_received(data)
        if self._is_in_request and self._framing_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(431, f"the headers have more than {MAX_HEADER_BYTES:,} bytes")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._is_in_request = True
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._is_in_request = False
        self._framing_bytes = 0
        super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection until its response is sent, if the client has closed its side."""
        if self.cycle is None or self._is_in_request or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, _msg: str) -> None:
        """Responds to bytes that are not HTTP."""
        self._refuse(400, "this is not an HTTP/1.1 request")

    def enforce_time_limits(self, now: float) -> None:
        """Ends the connection if the client is too slow."""
        if self.transport.is_closing():
            return
        if self._is_stuck_writing(now):
            self.transport.abort()
        elif self.cycle is None and not self._is_in_request:
            if now - self._last_read > IDLE_SECONDS:
                self.transport.close()
        elif self._is_in_request and not self.flow.read_paused:
            if now - self._last_read > IDLE_SECONDS:
                self._refuse(408, f"nothing of the request came for {IDLE_SECONDS:.0f} seconds")
            elif now - self._request_start > REQUEST_SECONDS:
                self._refuse(408, f"the request took more than {REQUEST_SECONDS:.0f} seconds")

    def _is_stuck_writing(self, now: float) -> bool:
        if not self.transport.get_write_buffer_size():
            self._unwritten_since = None
            return False
        self._unwritten_since = self._unwritten_since or now
        return now - self._unwritten_since > WRITE_SECONDS

    def _refuse(self, status: int, message: str) -> None:
        """Answers with an error and closes. Complete earlier requests are answered first."""
        if self._has_unanswered_request():
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        body = json.dumps(build_error_body(status, message)).encode()
        head: bytes = STATUS_LINE[status]
        for name, value in self.server_state.default_headers:
            head += name + b": " + value + b"\r\n"
        head += b"content-type: application/json\r\n"
        head += b"content-length: %d\r\n" % len(body)
        head += b"connection: close\r\n\r\n"
        self.transport.write(head + body)
        self.transport.close()

    def _has_unanswered_request(self) -> bool:
        """Returns whether a complete request waits for its response."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
