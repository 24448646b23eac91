"""A server between the shop and a counterpart: it notes each request, passes it on, and can lose a response."""

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Request(NamedTuple):
    """A request as it arrived, its header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class RecordingProxy:
    """Passes requests to `target`. `answers` says what happens to the next ones: a status to give, or "lose"."""

    def __init__(self, target: str):
        self.target = target
        self.requests: list[Request] = []
        self.answers: list[int | str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def _pass_on(target: str, request: Request) -> tuple[int, bytes]:
    names = ("authorization", "content-type", "stripe-version", "idempotency-key")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    outgoing = urllib.request.Request(f"{target}{request.path}", data=request.body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(outgoing) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def _handler_of(proxy: RecordingProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            proxy.requests.append(request)
            answer = proxy.answers.pop(0) if proxy.answers else None
            if isinstance(answer, int):
                status, content = answer, b'{"error": {"type": "api_error", "message": "as the test wants it"}}'
            else:
                status, content = _pass_on(proxy.target, request)
            if answer == "lose":
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: Any) -> None:
            pass

    return Handler
