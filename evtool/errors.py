"""The exceptions that evtool raises, as a tree; each class has its exit code.

    EvtoolError
      LostEventsError 1   a handler emitted events after its call had ended; 2 if an input could not be read
      UsageError      2   an option, an argument or an input that cannot be used
      ConfigError     2   routes.yaml or a schema is not valid; carries every finding
        RoutesError       raised by Routes.load, for Python code
      StoreError      4   the store cannot be used
        DamageError       a part of the store cannot be read

Problems of events are values, not exceptions (see findings/finding.py): one bad event never ends the
work on the others. An exception that is not in this tree is a bug in evtool and ends with exit 3.
"""

from collections.abc import Sequence

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location

EXIT_OK = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_BUG = 3
EXIT_STORE = 4
# Shells report a program that a signal ended with 128 plus the number of the signal: SIGINT is 2, SIGPIPE is 13.
EXIT_INTERRUPTED = 130
EXIT_OUTPUT_CLOSED = 141


class EvtoolError(Exception):
    """A failure that evtool expects, and explains to the user in one line."""

    exit_code = EXIT_USAGE


class LostEventsError(EvtoolError):
    """Handlers emitted events that could not be stored any more. Each of them was reported."""

    def __init__(self, message: str, exit_code: int = EXIT_FINDINGS):
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(EvtoolError):
    """The command line asks for something that cannot be done."""


class ConfigError(EvtoolError):
    """The project's own files are not valid. `findings` lists each problem with its location."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()):
        super().__init__(message)
        self.findings = tuple(findings)


class RoutesError(ConfigError):
    """A routes.yaml cannot be loaded. `findings` lists each problem with its location; the message repeats them."""

    def __init__(self, message: str, findings: Sequence[Finding]):
        super().__init__(message, findings)
        # A traceback shows only the message, so that the findings must be part of it.
        self.args = ("\n".join([message] + [_format_finding(finding) for finding in findings]),)


def _format_finding(finding: Finding) -> str:
    location = format_location(finding.file, finding.line, finding.column)
    line = f"{location}: {finding.code} {finding.message}"
    if finding.suggestion:
        return f"{line} ({finding.suggestion})"
    return line


class StoreError(EvtoolError):
    """The store cannot be opened, read or written. What evtool acknowledged before is safe."""

    exit_code = EXIT_STORE


class DamageError(StoreError):
    """A part of the store cannot be read: the disk, or another program than evtool, has changed it."""
