"""A server between the shop and a counterpart: it records each request, forwards it, and can lose a response."""

import socket
import urllib.error
import urllib.request
from typing import Any

from tests.support.http_servers import Received, Server, responds

PASSED_ON = ("authorization", "content-type", "stripe-version", "idempotency-key")


class RecordingProxy(Server):
    """Forwards requests to `target`. `answers` has a status to return for each next request, or "lose"."""

    def __init__(self, target: str):
        self.target = target
        self.answers: list[int | str] = []
        super().__init__(RecordingProxy._pass_on)

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def _pass_on(proxy: Any, connection: socket.socket) -> None:
        answer = proxy.answers.pop(0) if proxy.answers else None
        if isinstance(answer, int):
            status, content = answer, b'{"error": {"type": "api_error", "message": "as the test wants it"}}'
        else:
            status, content = _send(proxy.target, proxy.requests[-1])
        if answer != "lose":
            responds(status, content, content_type="application/json")(proxy, connection)


def _send(target: str, request: Received) -> tuple[int, bytes]:
    method, path, _ = request.line.split(" ")
    headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    outgoing = urllib.request.Request(f"{target}{path}", data=request.body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(outgoing) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
