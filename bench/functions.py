"""How fast a warm Lambda function is called, beside the same client driven by the barest Runtime API, in one run.

AWS's emulator drives the client, too, if it is installed (`make clients LANGUAGES=emulator`). All take turns, so that a
busy machine slows them alike. The goals are those of the ratios.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from evtool.handlers import aws_lambda
from evtool.handlers.base import Call, Done

CALLS = 300  # of a turn
WARM_UP = 20
TURNS = 8
STARTS = 10  # of a process for each event
EMULATOR = Path(__file__).parent.parent / ".clients/emulator/aws-lambda-rie"
COMMAND = [sys.executable, "-m", "awslambdaric", "app.handler"]
VARIABLES = {
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
    "_HANDLER": "app.handler",
}
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
        environment = {**os.environ, **VARIABLES, "AWS_LAMBDA_RUNTIME_API": address}
        self.process = subprocess.Popen(COMMAND, cwd=folder, env=environment)
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


class Emulator:
    """The client of a function, driven by AWS's emulator."""

    def __init__(self, folder: Path, event: bytes):
        api, address = (f"127.0.0.1:{find_port()}" for _ in range(2))
        addresses = ["--runtime-api-address", api, "--runtime-interface-emulator-address", address]
        environment = {**os.environ, **VARIABLES, "LAMBDA_TASK_ROOT": str(folder)}
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [EMULATOR, *addresses, *COMMAND], cwd=folder, env=environment, stdout=quiet, stderr=quiet
        )
        self._connection = HTTPConnection(address)
        self._event = event
        while True:
            with suppress(ConnectionRefusedError):
                self._connection.connect()
                return
            time.sleep(0.01)

    def call(self) -> None:
        """One event and its result."""
        self._connection.request("POST", "/2015-03-31/functions/function/invocations", self._event)
        assert b"orderId" in self._connection.getresponse().read()


def find_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


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
        drivers = [BareLoop(folder, event), *([Emulator(folder, event)] if EMULATOR.exists() else [])]
        calls = [lambda: function(call), *(driver.call for driver in drivers)]
        assert function(call) == Done()
        for work in calls:
            measure(work, WARM_UP)
        turns = [[measure(work, CALLS) for work in calls] for _ in range(TURNS)]
        warm, floor, *emulator = map(min, zip(*turns, strict=True))
        started = measure(lambda: (function.close(), function(call)), STARTS)
        function.close()
        for driver in drivers:
            driver.process.terminate()
            driver.process.wait()
    print(f"warm lambda function     {1 / warm:8.0f} calls/s")
    print(f"the same, bare loop      {1 / floor:8.0f} calls/s   ratio {floor / warm:.2f}   goal >= 0.5")
    for seconds in emulator:
        ratio = (warm - floor) / (seconds - floor)
        print(f"the same, AWS's emulator {1 / seconds:8.0f} calls/s   overhead of evtool {ratio:.2f} of it   goal <= 1")
    print(f"a process for each event {1 / started:8.0f} calls/s   {started / warm:.0f} times as long   goal >= 100")


if __name__ == "__main__":
    main()
