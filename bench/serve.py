"""Measures the events per second that `evtool serve` stores durably and its response times, against a bare server.

The client is a process that sends PutEvents over persistent connections, on the same two cores. The bare server uses
the same stack (starlette, uvicorn), appends each body to a file and calls fsync before it answers.
"""

import argparse
import http.client
import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
# Seconds between two requests of an open page, as in live.js.
PAGE_INTERVAL = 2.0
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
ROUTES = """version: 1
handlers: {print: {command: [cat]}}
routes:
  orders: {pattern: {source: [shop.checkout], detail-type: [order.created]}, to: [print]}
"""
FLOOR = """
import os, sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
import uvicorn
log = open(sys.argv[2], "ab", buffering=0)
async def receive(request):
    log.write(await request.body())
    os.fsync(log.fileno())
    return JSONResponse({"FailedEntryCount": 0})
app = Starlette(routes=[Route("/", receive, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", http="httptools", loop="asyncio")
"""


class Load(NamedTuple):
    """A load: requests per second (None is without a limit), entries per request, connections, seconds, open pages."""

    rate: int | None
    entries: int
    connections: int
    seconds: float
    pages: int = 0


class Result(NamedTuple):
    """Events per second, and percentiles of the response time in milliseconds."""

    events: float
    median: float
    p99: float
    longest: float


def build_request(entries: int) -> bytes:
    """Returns a PutEvents request as boto3 sends it."""
    order = json.loads((ROOT / "samples/events/order-created.json").read_text(encoding="utf-8"))
    entry = {"Source": "shop.checkout", "DetailType": "order.created", "Detail": json.dumps(order["detail"])}
    body = json.dumps({"Entries": [entry] * entries}).encode()
    head = (
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.1\r\n"
        "X-Amz-Target: AWSEvents.PutEvents\r\nUser-Agent: Boto3/1.44.8\r\nX-Amz-Date: 20261130T000000Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=evtool/20261130/us-east-1/events/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=00\r\n"
        f"amz-sdk-invocation-id: 00000000-0000-4000-8000-000000000000\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """A persistent connection with at most one request at a time."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The time at which the request should have been sent.
        self.due = 0.0
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        """Sends a request."""
        self.due = due
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Reads available bytes. Returns whether the response is complete. All entries must be stored."""
        self._received += self.socket.recv(1 << 16)
        head, end, answer = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or length is None or len(answer) < int(length[1]):
            return False
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b'"FailedEntryCount":0' in answer, answer
        self._received = b""
        return True


def keep_page_open(port: int, seconds: float) -> None:
    """Sends the requests of a page that is open in a browser while the list of events changes all the time."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for path in ("/changes", "/"):
            connection.request("GET", path)
            assert len(connection.getresponse().read()) > 0
        time.sleep(PAGE_INTERVAL)
    connection.close()


def send(port: int, load: Load) -> tuple[float, list[float]]:
    """Sends the requests. Returns the seconds of the load, and of each request.

    With a rate the time of a request starts when the request should have been sent.
    """
    # One thread with plain sockets takes about a tenth of the server's processor time.
    request = build_request(load.entries)
    selector = selectors.DefaultSelector()
    idle = [Connection(port) for _ in range(load.connections)]
    for connection in idle:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    times: list[float] = []
    sent = 0
    started = now = time.perf_counter()
    while now - started < load.seconds or len(idle) < load.connections:
        next_due = now
        if load.rate:
            next_due = started + sent / load.rate
        while idle and next_due <= now and now - started < load.seconds:
            idle.pop().send(request, next_due)
            sent += 1
            if load.rate:
                next_due = started + sent / load.rate
        timeout = None
        if idle:
            timeout = max(next_due - now, 0)
        for key, _ in selector.select(timeout):
            if key.data.receive():
                times.append(time.perf_counter() - key.data.due)
                idle.append(key.data)
        now = time.perf_counter()
    return now - started, times


def measure(port: int, load: Load) -> Result:
    """Runs a load in a new process."""
    command = [sys.executable, __file__, "--client", str(port), json.dumps(load)]
    pages = [threading.Thread(target=keep_page_open, args=(port, load.seconds)) for _ in range(load.pages)]
    for page in pages:
        page.start()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for page in pages:
        page.join()
    seconds, times = json.loads(done.stdout)
    in_order = sorted(times)
    p99 = in_order[int(len(in_order) * 0.99)]
    events = len(times) * load.entries / seconds
    return Result(events, statistics.median(times) * 1000, p99 * 1000, in_order[-1] * 1000)


@contextmanager
def run_server(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Runs a server."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def find_port() -> int:
    """Returns a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(seconds: float) -> None:
    """Prints the table."""
    loads = {
        "1 event in a request, as many as go": Load(None, 1, 32, seconds),
        "10 events in a request, as many as go": Load(None, 10, 32, seconds),
        "1 event in a request, 1,000 a second": Load(1000, 1, 32, seconds),
        "the same, with 3 open pages": Load(1000, 1, 32, seconds, pages=3),
    }
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR")))
    (folder / "routes.yaml").write_text(ROUTES)
    (folder / "floor.py").write_text(FLOOR)
    evtool = str(Path(sys.executable).parent / "evtool")
    port, floor_port = find_port(), find_port()
    servers = {
        "evtool serve": ([evtool, "serve", "--listen", str(port), "-q"], port),
        "append and fsync": ([sys.executable, "floor.py", str(floor_port), "floor.log"], floor_port),
    }
    print(f"{'':<42}{'events/s':>10}{'median ms':>11}{'p99 ms':>9}{'max ms':>9}")
    for name, load in loads.items():
        results = {}
        for server, (command, its_port) in servers.items():
            if load.pages and server != "evtool serve":
                continue
            with run_server(command, folder, its_port):
                measure(its_port, load._replace(seconds=1, pages=0))
                results[server] = result = measure(its_port, load)
            row = f"{result.events:>10,.0f}{result.median:>11.1f}{result.p99:>9.1f}{result.longest:>9.1f}"
            print(f"{name if server == 'evtool serve' else '  append and fsync':<42}{row}", flush=True)
        if load.rate is None:
            ours, floor = (result.events for result in results.values())
            print(f"  ratio {ours / floor:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--client", nargs=2, metavar=("PORT", "LOAD"))
    arguments = parser.parse_args()
    if arguments.client:
        port_of_server, its_load = arguments.client
        print(json.dumps(send(int(port_of_server), Load(*json.loads(its_load)))))
    else:
        main(arguments.seconds)
