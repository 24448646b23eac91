"""Handlers that behave well and badly: `play` does what the event asks for. The very bad ones are in the zoo."""
# ruff: noqa: BLE001, T201

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

ALWAYS = threading.Event()


def play(event, context):
    """Do what the detail says under `do`."""
    return globals()[event["detail"]["do"]](event, context)


def leave_processes(file):
    """Start one process in this group and an orphan in another session; their ids go into the file."""
    near = subprocess.Popen(["sleep", "60"])
    far = subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], start_new_session=True)
    Path(file).write_text(f"{os.getpid()} {near.pid} {int(far)}")


def work(event, context):
    Path(event["detail"]["file"]).write_text(event["id"])


def emit(event, context):
    context.emit("payment.authorized", {"total": 1.5, "name": "Žižek"})
    context.emit("payment.told", {}, source="bank")


def fail(event, context):
    context.emit("payment.authorized", {})
    raise ValueError("the card is blocked")


def unavailable(event, context):
    context.emit("payment.authorized", {})
    context.unavailable("the bank is closed")


def unavailable_in_a_thread(event, context):
    thread = threading.Thread(target=unavailable, args=(event, context))
    thread.start()
    thread.join()


def unavailable_and_excuses_itself(event, context):
    try:
        unavailable(event, context)
    except Exception:
        context.emit("payment.declined", {})
    except BaseException:
        print("never")


def hang(event, context):
    leave_processes(event["detail"]["file"])
    print("waiting")
    ALWAYS.wait()


def say(event, context):
    print("out")
    print("err", file=sys.stderr)
    subprocess.run(["echo", "child"], check=True)


# --- what only a Python function can do -------------------------------------------------------------------------------


def describe(event, context):
    left = context.get_remaining_time_in_millis()
    names = [name for name in dir(context) if not name.startswith("_")]
    values = {name: getattr(context, name) for name in names if not callable(getattr(context, name))}
    context.emit(
        "described", {"event": event, "left": left, "context": values, "pid": os.getpid(), "cwd": str(Path.cwd())}
    )


def read_stdin(event, context):
    context.emit("read", {"stdin": sys.stdin.read() + os.read(0, 100).decode()})


def resist(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            hang(event, context)
        except BaseException:
            print("never")


def exit_well(event, context):
    sys.exit(0)


def interrupt(event, context):
    raise KeyboardInterrupt


def leave(event, context):
    print("going")
    os._exit(0)


def segfault(event, context):
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(0)


def killed(event, context):
    os.kill(os.getpid(), signal.SIGKILL)


def no_message(event, context):
    class MuteError(Exception):
        def __str__(self):
            raise ZeroDivisionError

    raise MuteError


def long_message(event, context):
    raise ValueError("x" * 100_000 + "\nsecond line")


def fail_in_a_library(event, context):
    int("no number")
    raise AssertionError


async def waits(event, context):
    raise AssertionError


def generates(event, context):
    yield 1


def emit_101(event, context):
    for number in range(101):
        context.emit("x", {"number": number})


def emit_100(event, context):
    for number in range(100):
        context.emit("x", {"number": number})


def emit_megabytes(event, context):
    context.emit("x", {"text": "x" * 5_000_000})


def flood(event, context):
    for _ in range(500):
        print("x" * 100_000)
    print("the last line")


HOARD = []


def eat_memory(event, context):
    while True:
        HOARD.append(b"x" * 10_000_000)


def print_bytes(event, context):
    os.write(1, b"caf\xe9 \xff\x00\n")
