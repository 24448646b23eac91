"""How many events a second `evtool serve` stores durably, how long requests take, and that against a bare server.

The clients are processes that send PutEvents over connections that stay open, on the same two cores. The floor is a
server on the same stack (starlette, uvicorn) that appends each body to a file and calls fsync before it answers.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
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
    """What is sent: requests a second, None for as many as go; entries in each; connections; seconds."""

    rate: int | None
    entries: int
    connections: int
    seconds: float


class Result(NamedTuple):
    """Events a second, and percentiles of the time of a request in milliseconds."""

    events: float
    median: float
    p99: float
    longest: float


def build_request(entries: int) -> bytes:
    """PutEvents as boto3 sends it."""
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


async def send(port: int, load: Load, times: list[float]) -> float:
    """Sends the requests; adds the seconds of each. With a rate a request counts from when it should have been sent."""
    request = build_request(load.entries)
    started = time.perf_counter()
    position = 0

    async def run() -> None:
        nonlocal position
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            due = time.perf_counter()
            if load.rate:
                due, position = started + position / load.rate, position + 1
                await asyncio.sleep(due - time.perf_counter())
            if time.perf_counter() - started > load.seconds:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
            assert b'"FailedEntryCount":0' in answer, answer
            times.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(run() for _ in range(load.connections)))
    return time.perf_counter() - started


def measure(port: int, load: Load) -> Result:
    """Runs a load in a process of its own."""
    command = [sys.executable, __file__, "--client", str(port), json.dumps(load)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, times = json.loads(done.stdout)
    in_order = sorted(times)
    p99 = in_order[int(len(in_order) * 0.99)]
    events = len(times) * load.entries / seconds
    return Result(events, statistics.median(times) * 1000, p99 * 1000, in_order[-1] * 1000)


@contextmanager
def run_server(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """A server while it runs."""
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
    """A free port."""
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
            with run_server(command, folder, its_port):
                measure(its_port, load._replace(seconds=1))
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
        its_times: list[float] = []
        took = asyncio.run(send(int(arguments.client[0]), Load(*json.loads(arguments.client[1])), its_times))
        print(json.dumps([took, its_times]))
    else:
        main(arguments.seconds)
