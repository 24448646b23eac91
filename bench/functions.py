"""Measures calls of a warm Lambda function, compared with the same client driven by a minimal Runtime API.

AWS's emulator drives the client, too, if it is installed (`make clients LANGUAGES=emulator`). All alternate, so that a
busy machine slows them alike. The goals are those of the ratios.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from evtool.handlers import aws_lambda
from evtool.handlers.base import Call, Done, Handler

# Calls in a turn.
CALLS = 300
WARM_UP = 20
TURNS = 8
# Calls with a new process for each event.
STARTS = 10
# Simultaneous calls, one for each core.
IN_FLIGHT = 2
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
    for line in iter(stream.readline, b"\r\n"):
        if not line:
            break
        if line[:15].lower() == b"content-length:":
            length = int(line[15:])
    stream.read(length)


class BareLoop:
    """The client of a function, and a loop that gives it events and drops its results."""

    def __init__(self, folder: Path, event: bytes):
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        environment = os.environ | VARIABLES | {"AWS_LAMBDA_RUNTIME_API": address}
        self.process = subprocess.Popen(COMMAND, cwd=folder, env=environment)
        self._connection = listener.accept()[0]
        self._stream = self._connection.makefile("rb")
        self._event = event
        read_request(self._stream)

    def call(self) -> None:
        """Sends an event, and returns when the client waits for the next one."""
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
    """The client of a function, and AWS's emulator that drives it."""

    def __init__(self, folder: Path, event: bytes):
        api = f"127.0.0.1:{find_port()}"
        address = f"127.0.0.1:{find_port()}"
        addresses = ["--runtime-api-address", api, "--runtime-interface-emulator-address", address]
        environment = os.environ | VARIABLES | {"LAMBDA_TASK_ROOT": str(folder)}
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [str(EMULATOR)] + addresses + COMMAND, cwd=folder, env=environment, stdout=quiet, stderr=quiet
        )
        self._connection = HTTPConnection(address)
        self._event = event
        while True:
            with suppress(ConnectionRefusedError):
                self._connection.connect()
                return
            time.sleep(0.01)

    def call(self) -> None:
        """Sends an event and reads the result."""
        self._connection.request("POST", "/2015-03-31/functions/function/invocations", self._event)
        assert b"orderId" in self._connection.getresponse().read()


def find_port() -> int:
    """Returns a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def measure(work: Callable[[], object], times: int) -> float:
    """Returns the average seconds of a call."""
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


def measure_together(works: list[Callable[[], object]], times: int) -> float:
    """Returns the seconds per call while each function is called `times` times in its thread."""
    threads = [threading.Thread(target=measure, args=(work, times)) for work in works]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - started) / (times * len(works))


def open_function(folder: Path) -> Handler:
    """Opens a handler of kind `lambda` for the function in this folder."""
    options = {"lambda": ".", "runtime": "python", "handler": "app.handler"}
    return aws_lambda.KIND.open("bench", aws_lambda.KIND.options.model_validate(options), folder)


def main() -> None:
    """Measures in turns, and prints a row for each figure."""
    event = Path("samples/events/order-created.json").read_bytes()
    call = Call(event, "1", "order.created", "all", 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(FUNCTION)
        functions = [open_function(folder) for _ in range(IN_FLIGHT)]
        loops = [BareLoop(folder, event) for _ in range(IN_FLIGHT)]
        drivers: list[BareLoop | Emulator] = [*loops]
        singles: list[Callable[[], object]] = [partial(functions[0], call), loops[0].call]
        if EMULATOR.exists():
            emulator = Emulator(folder, event)
            drivers.append(emulator)
            singles.append(emulator.call)
        functions_in_flight: list[Callable[[], object]] = [partial(function, call) for function in functions]
        loops_in_flight: list[Callable[[], object]] = [loop.call for loop in loops]
        for function in functions:
            assert function(call) == Done()
        for work in singles + functions_in_flight + loops_in_flight:
            measure(work, WARM_UP)
        turns: list[list[float]] = []
        for _ in range(TURNS):
            seconds = [measure(work, CALLS) for work in singles]
            seconds += [measure_together(works, CALLS) for works in (functions_in_flight, loops_in_flight)]
            turns.append(seconds)
        warm, floor, *emulated, warm_in_flight, floor_in_flight = map(min, zip(*turns, strict=True))
        started = measure(partial(start_and_call, functions[0], call), STARTS)
        for function in functions:
            function.close()
        for driver in drivers:
            driver.process.terminate()
            driver.process.wait()
    print(f"warm lambda function     {1 / warm:8.0f} calls/s")
    print(f"the same, bare loop      {1 / floor:8.0f} calls/s   ratio {floor / warm:.2f}   goal >= 0.5")
    for seconds_emulated in emulated:
        ratio = (warm - floor) / (seconds_emulated - floor)
        rate = 1 / seconds_emulated
        print(f"the same, AWS's emulator {rate:8.0f} calls/s   overhead of evtool {ratio:.2f} of it   goal <= 1")
    ratio = floor_in_flight / warm_in_flight
    print(f"{IN_FLIGHT} calls in flight        {1 / warm_in_flight:8.0f} calls/s")
    print(f"the same, bare loops     {1 / floor_in_flight:8.0f} calls/s   ratio {ratio:.2f}   goal >= 0.5")
    print(f"a process for each event {1 / started:8.0f} calls/s")
    for label, seconds_each in (("one call at a time", warm), (f"{IN_FLIGHT} calls in flight", warm_in_flight)):
        print(f"    {label:20} {started / seconds_each:8.0f} times as many   goal >= 100")


def start_and_call(function: Handler, call: Call) -> None:
    """Ends the process of a function and calls the function, which starts a new process."""
    function.close()
    function(call)


if __name__ == "__main__":
    main()
