"""Starts evtool as processes quickly: they are forked from one that has imported all of evtool and has no threads.

Each is a process of its own that runs evtool's `main` and ends as every Python process ends. Only the start of Python
and the imports are saved, which take most of the time of a short command.

`python -m tests.support.fork_server FD` is the server. With each byte that it reads from the socket FD it gets four
descriptors: a socket for the request and the answer, and the standard input, output and error of the new process. The
request is a line of JSON. The answer is the exit code (negative for a signal), or nothing if the process hangs.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import evtool
from evtool.__main__ import main

TIMEOUT = 60  # seconds; an evtool that takes longer hangs

SITE = "EVTOOL_TEST_SITE"  # a variable with a folder of packages that the new process sees


class ForkServer:
    """A server of processes. It runs until it is closed."""

    def __init__(self, root: Path):
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def run(
        self, arguments: Sequence[str], *, stdin: bytes, cwd: Path, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[bytes]":
        """Runs evtool and waits for its end. Several threads may call this at once. Raises TimeoutError."""
        (given, ours_in), (ours_out, out), (ours_err, err) = pipes = [os.pipe() for _ in range(3)]
        connection, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._channel, [b"!"], [theirs.fileno(), given, out, err])
        for descriptor in (given, out, err):
            os.close(descriptor)
        with connection, connection.makefile("rw") as stream, ThreadPoolExecutor(len(pipes)) as pool:
            stream.write(json.dumps([arguments, str(cwd), dict(env)]) + "\n")
            stream.flush()
            pool.submit(_write, ours_in, stdin)
            printed = [pool.submit(_read, descriptor) for descriptor in (ours_out, ours_err)]
            answer = stream.readline()
        if not answer:
            raise TimeoutError(f"evtool {' '.join(arguments)}: it did not end within {TIMEOUT} s")
        return subprocess.CompletedProcess(arguments, int(answer), *(part.result() for part in printed))

    def close(self) -> None:
        """Ends the server and all that it started."""
        self._channel.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _write(descriptor: int, data: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        pipe.write(data)


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


# --- the server ------------------------------------------------------------------------------------------------------


def _import_all() -> None:
    for module in pkgutil.walk_packages(evtool.__path__, "evtool."):
        importlib.import_module(module.name)
    gc.freeze()  # all of this is shared with the new processes


def _serve(channel: socket.socket) -> None:
    """Returns in each new process, which has the arguments, the folder, the environment and the streams of evtool."""
    while True:
        byte, descriptors, _, _ = socket.recv_fds(channel, 1, 4)
        if not byte:
            sys.exit()
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(-1, os.WNOHANG)  # of those that were forked before
    channel.close()
    descriptor, *streams = descriptors
    with socket.socket(fileno=descriptor) as connection:
        with connection.makefile() as stream:
            arguments, folder, environment = json.loads(stream.readline())
        if pid := os.fork():
            _answer(connection, pid, streams)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[:0] = filter(None, [environment.get(SITE)])
    sys.argv[1:] = arguments


def _answer(connection: socket.socket, pid: int, streams: Sequence[int]) -> NoReturn:
    """Waits for an evtool process and sends its exit code. Kills a process that hangs."""
    for descriptor in streams:
        os.close(descriptor)
    hangs = []

    def kill(*_: object) -> None:
        hangs.append(pid)
        os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.alarm(TIMEOUT)
    _, status = os.waitpid(pid, 0)
    if not hangs:
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    _import_all()
    _serve(socket.socket(fileno=int(sys.argv.pop(1))))
    main()
