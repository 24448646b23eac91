"""Handlers of kind `socket`: send each event to a service on a Unix socket, and read its answer."""

import json
import socket
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from evtool.plugins import (
    Call,
    Done,
    Emitted,
    Failed,
    Handler,
    HandlerOptions,
    Kind,
    Outcome,
    Unavailable,
    expand_variables,
)

# Bytes.
ANSWER_LIMIT = 1 << 20


class SocketOptions(HandlerOptions):
    """The options in routes.yaml, in addition to those of all kinds."""

    socket: Annotated[str, Field(min_length=1, description="the file of the socket")]
    token: Annotated[str | None, Field(description="sent with each event; `${NAME}` is read from the environment")] = (
        None
    )


class SocketHandler:
    """Opens a connection for each event, so there is nothing to close later."""

    def __init__(self, options: SocketOptions, folder: Path):
        self._options = options
        self._file = folder / options.socket
        # An unset variable is an error of the project. evtool reports it as EV503.
        self._token = expand_variables(options.token) if options.token else None

    def __call__(self, call: Call) -> Outcome:
        deadline = time.monotonic() + self._options.timeout
        request = json.dumps({"token": self._token, "event": json.loads(call.raw)}).encode() + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.settimeout(self._options.timeout)
                connection.connect(str(self._file))
            # Nothing was sent, so the delivery can wait.
            except OSError as error:
                return Unavailable(f"{self._options.socket}: {error.strerror or error}")
            try:
                connection.sendall(request)
                return _read_outcome(_receive_line(connection, deadline))
            except TimeoutError:
                return Failed(f"no answer within {self._options.timeout:g}s", "timeout")
            except OSError as error:
                return Failed(f"the connection broke: {error.strerror or error}", "crashed")

    def check(self) -> Unavailable | None:
        """Checks that the socket exists, without a connection."""
        if self._file.exists() and not self._file.is_socket():
            return Unavailable(f"{self._options.socket} is not a socket", "EV501")
        return None

    def close(self) -> None:
        """Does nothing, since no connection stays open."""


def _receive_line(connection: socket.socket, deadline: float) -> bytes:
    """Reads a line, or the bytes before the end of the stream. Raises TimeoutError, OSError."""
    line = b""
    while not line.endswith(b"\n") and len(line) < ANSWER_LIMIT:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        part = connection.recv(65536)
        if not part:
            break
        line += part
    return line


def _read_outcome(line: bytes) -> Outcome:
    if not line:
        return Failed("the service closed the connection without an answer", "crashed")
    try:
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise TypeError("it is not an object")
        if "error" in answer:
            return Failed(str(answer["error"]), final=bool(answer.get("final")))
        return Done(tuple(_read_event(event) for event in answer.get("emit", [])))
    except (ValueError, TypeError, KeyError) as error:
        return Failed(f"the answer cannot be read: {type(error).__name__}: {error}", "bad-result", final=True)


def _read_event(event: dict[str, Any]) -> Emitted:
    return Emitted(event["type"], json.dumps(event["detail"]).encode(), event.get("source"))


def open_handler(_name: str, options: SocketOptions, folder: Path) -> Handler:
    """Creates the handler of an entry in routes.yaml, without a connection."""
    return SocketHandler(options, folder)


KIND = Kind(SocketOptions, open_handler)
