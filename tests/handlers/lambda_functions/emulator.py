"""Runs a function under AWS's runtime interface emulator: prints its answer to each event as a line of JSON.

Arguments: the emulator, the command of the function as JSON, the events as JSON texts.
"""

import json
import os
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

EMULATOR, COMMAND, *EVENTS = sys.argv[1:]
PATH = "/2015-03-31/functions/function/invocations"


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def invoke(address: str, event: str) -> dict[str, object]:
    """The answer; the emulator may not listen yet."""
    for _ in range(100):
        connection = HTTPConnection(address, timeout=30)
        try:
            connection.request("POST", PATH, event.encode())
            response = connection.getresponse()
            return {"status": response.status, "body": response.read().decode()}
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise SystemExit("the emulator does not listen")


api, address = free_address(), free_address()
addresses = ["--runtime-api-address", api, "--runtime-interface-emulator-address", address]
variables = {
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "20",
    "LAMBDA_TASK_ROOT": str(Path.cwd()),
    "_HANDLER": json.loads(COMMAND)[-1],
}
environment = {**os.environ, **variables}
emulator = subprocess.Popen(
    [EMULATOR, *addresses, *json.loads(COMMAND)], env=environment, stdout=sys.stderr, start_new_session=True
)
try:
    for event in EVENTS:
        print(json.dumps(invoke(address, event)), flush=True)
finally:
    os.killpg(emulator.pid, 9)
    emulator.wait()
