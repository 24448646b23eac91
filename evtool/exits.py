"""How a command ends: what it raised becomes a line for a person and an exit code. The codes: docs/exit-codes.md."""

import os
import sys
from collections.abc import Callable

from evtool.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_OUTPUT_CLOSED,
    EXIT_STORE,
    ConfigError,
    EvtoolError,
)
from evtool.frames import show
from evtool.screen import Screen, errors


def ending(work: Callable[[], int], *, color: str = "auto") -> int:
    """Does the work and returns the exit code; whatever goes wrong is told on standard error."""
    try:
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except ConfigError as error:
        screen = Screen(errors(), color=color)
        for finding in error.findings:
            show(screen, finding)
        return _told(str(error), error.exit_code, color)
    except EvtoolError as error:
        return _told(str(error), error.exit_code, color)
    except KeyboardInterrupt:
        return _told("interrupted", EXIT_INTERRUPTED, color)
    except BrokenPipeError:
        _discard_output()
        return EXIT_OUTPUT_CLOSED
    except OSError as error:
        _discard_output()
        return _told(f"cannot read or write: {error}", EXIT_STORE, color)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is told in one line)
        return _bug(error, color)
    return code


def _told(message: str, code: int, color: str) -> int:
    Screen(errors(), color=color).line(("evtool: ", "bold"), message)
    return code


def _bug(error: Exception, color: str) -> int:
    import traceback  # noqa: PLC0415  (not worth its time until there is a bug)
    from tempfile import mkstemp  # noqa: PLC0415

    try:
        handle, name = mkstemp(prefix="evtool-", suffix=".txt")  # readable by its owner only
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        where = f"the details are in {name}"
    except OSError:
        where = "the details could not be written"
    kind = type(error).__name__
    return _told(f"a bug in evtool ({kind}: {error}); {where}: please report it", EXIT_BUG, color)


def _discard_output() -> None:
    """What is still buffered for a closed pipe must not fail again when Python ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
