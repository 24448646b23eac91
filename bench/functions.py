"""How fast a warm Lambda function is called, beside the same client driven by the barest Runtime API, in one run.

The pair takes turns, so that a busy machine slows both alike. The goals are those of the ratios.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evtool.handlers import aws_lambda
from evtool.handlers.base import Call, Done

CALLS = 300  # of a turn
TURNS = 8
STARTS = 10  # of a process for each event
FUNCTION = "def handler(event, context):\n    return {'orderId': event['detail']['orderId']}\n"
RESPONSE = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'


def read_request(stream: Any) -> None:
    """Reads a request and drops it."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        if line[:15].lower() == b"content-length:":
            length = int(line[15:])
    stream.read(length)


class BareLoop:
    """The client of a function, driven by a loop that hands out events and drops results."""

    def __init__(self, folder: Path, event: bytes):
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": address, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
        arguments = [sys.executable, "-m", "awslambdaric", "app.handler"]
        self.process = subprocess.Popen(arguments, cwd=folder, env=environment)
        self._connection = listener.accept()[0]
        self._stream = self._connection.makefile("rb")
        self._event = event
        read_request(self._stream)

    def call(self) -> None:
        """One event; the client waits for the next one then."""
        headers = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 1\r\n"
            f"Lambda-Runtime-Deadline-Ms: {time.time_ns() // 1_000_000 + 30_000}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:bench\r\n"
            f"Content-Length: {len(self._event)}\r\n\r\n"
        )
        self._connection.sendall(headers.encode() + self._event)
        read_request(self._stream)
        self._connection.sendall(RESPONSE)
        read_request(self._stream)


def measure(work: Callable[[], object], times: int) -> float:
    """Seconds that each of so many calls takes."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def main() -> None:
    """Measures by turns, and prints a row for each figure."""
    event = Path("samples/events/order-created.json").read_bytes()
    call = Call(event, "1", "order.created", "all", 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(FUNCTION)
        options = {"lambda": ".", "runtime": "python", "handler": "app.handler"}
        function = aws_lambda.KIND.open("bench", aws_lambda.KIND.options.model_validate(options), folder)
        bare = BareLoop(folder, event)
        assert function(call) == Done()
        bare.call()
        times: dict[str, list[float]] = {"evtool": [], "bare": []}
        for _ in range(TURNS):
            times["evtool"].append(measure(lambda: function(call), CALLS))
            times["bare"].append(measure(bare.call, CALLS))
        started = measure(lambda: (function.close(), function(call)), STARTS)
        function.close()
        bare.process.kill()
        bare.process.wait()
    warm, floor = min(times["evtool"]), min(times["bare"])
    print(f"warm lambda function     {1 / warm:8.0f} calls/s")
    print(f"the same, bare loop      {1 / floor:8.0f} calls/s   ratio {floor / warm:.2f}   goal >= 0.5")
    print(f"a process for each event {1 / started:8.0f} calls/s   {started / warm:.0f} times as long   goal >= 100")
    shutil.rmtree(name, ignore_errors=True)


if __name__ == "__main__":
    main()
