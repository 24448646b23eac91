"""Turns the exception that ends a command into a message on standard error and an exit code (docs/exit-codes.md)."""

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
    """Does the work and returns the exit code. Every exception becomes a message on standard error."""
    _open_standard_streams()
    try:
        code = work()
        # Messages that cannot be written do not change the exit code; output that cannot be written does.
        _flush(sys.stderr)
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
        # The reader, such as `head`, has enough: this is not worth a message.
        _discard(sys.stdout)
        _discard(sys.stderr)
        return EXIT_OUTPUT_CLOSED
    except OSError as error:
        _discard(sys.stdout)
        return _show_error(f"cannot read or write: {error}", EXIT_STORE, color)
    # Every other exception is a bug: the user gets one line, and a file with the traceback.
    except Exception as error:  # noqa: BLE001
        return _report_bug(error, color)
    return code


def _open_standard_streams() -> None:
    """Replaces standard streams that the caller has closed.

    Otherwise the next file that evtool opens would get the number of such a stream, and receive its messages.
    """
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def _flush(stream: TextIO) -> None:
    """Writes the buffered output, or discards it if that is impossible."""
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
    except OSError:
        # Standard error is closed or full: the exit code still reports the error.
        _discard(sys.stderr)
    return code


def _report_bug(error: Exception, color: str) -> int:
    # These modules cost start-up time, and are needed only after a bug.
    import traceback  # noqa: PLC0415
    from tempfile import mkstemp  # noqa: PLC0415

    try:
        # Only its owner can read the file: a traceback may contain parts of events.
        descriptor, name = mkstemp(prefix="evtool-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        details = f"the details are in {name}"
    except OSError:
        details = "the details could not be written"
    kind = type(error).__name__
    return _show_error(f"a bug in evtool ({kind}: {error}); {details}: please report it", EXIT_BUG, color)


def _discard(stream: TextIO) -> None:
    """Redirects a stream to the null device, so that its buffer does not cause a second error when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
