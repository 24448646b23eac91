"""Turns what a command raised into a message on standard error and an exit code (docs/exit-codes.md)."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from evtool.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_OUTPUT_CLOSED,
    EXIT_STORE,
    ConfigError,
    EvtoolError,
)
from evtool.findings.finding import Finding
from evtool.signals import Terminated
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding


def run_command(work: Callable[[], int], *, color: str = "auto") -> int:
    """Does the work and returns the exit code; whatever goes wrong is told on standard error."""
    _open_standard_streams()
    try:
        code = work()
        _flush(sys.stderr)  # the exit code still tells
        sys.stdout.flush()
    except ConfigError as error:
        return _show_error(str(error), error.exit_code, color, error.findings)
    except EvtoolError as error:
        return _show_error(str(error), error.exit_code, color)
    except Terminated as error:
        return _show_error(f"ended by {error}", error.exit_code, color)
    except KeyboardInterrupt:
        return _show_error("interrupted", EXIT_INTERRUPTED, color)
    except BrokenPipeError:
        _discard(sys.stdout, sys.stderr)
        return EXIT_OUTPUT_CLOSED
    except OSError as error:
        _discard(sys.stdout)
        return _show_error(f"cannot read or write: {error}", EXIT_STORE, color)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is told in one line)
        return _report_bug(error, color)
    return code


def _open_standard_streams() -> None:
    """What the caller has closed leads to nowhere, so that no file is opened in its place and written to by mistake."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def _flush(stream: TextIO) -> None:
    """Has come out what was written, if it can."""
    try:
        stream.flush()
    except OSError:
        _discard(stream)


def _show_error(message: str, code: int, color: str, findings: Sequence[Finding] = ()) -> int:
    _flush(sys.stdout)
    try:
        screen = Screen(open_stderr(), color=color)
        for finding in findings:
            show_finding(screen, finding)
        screen.print_line(("evtool: ", "bold"), message)
    except OSError:  # standard error is closed or full: the exit code still tells
        _discard(sys.stderr)
    return code


def _report_bug(error: Exception, color: str) -> int:
    import traceback  # noqa: PLC0415  (not worth its time until there is a bug)
    from tempfile import mkstemp  # noqa: PLC0415

    try:
        descriptor, name = mkstemp(prefix="evtool-", suffix=".txt")  # readable by its owner only
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        details = f"the details are in {name}"
    except OSError:
        details = "the details could not be written"
    kind = type(error).__name__
    return _show_error(f"a bug in evtool ({kind}: {error}); {details}: please report it", EXIT_BUG, color)


def _discard(*streams: TextIO) -> None:
    """What is still buffered for a closed pipe or a full disk must not fail again when Python ends."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
