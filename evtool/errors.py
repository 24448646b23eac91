"""The exceptions that evtool raises, as a tree; each class has its exit code.

    EvtoolError
      LostEventsError 1   a handler emitted events after its call had ended; 2 if an input could not be read
      UsageError      2   an option, an argument or an input that cannot be used
      ConfigError     2   routes.yaml or a schema is wrong; carries every finding
        RoutesError       raised by Routes.load, for Python code
      StoreError      4   the store cannot be used
        DamageError       a part of it cannot be read

Findings about events are values, not exceptions (see finding.py): one bad event never ends the
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
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_OUTPUT_CLOSED = 141  # 128 + SIGPIPE


class EvtoolError(Exception):
    """Something that evtool expects to go wrong and can tell a person about in one line."""

    exit_code = EXIT_USAGE


class LostEventsError(EvtoolError):
    """Handlers emitted events when nothing could take them any more. Each was reported."""

    def __init__(self, message: str, exit_code: int = EXIT_FINDINGS):
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(EvtoolError):
    """The command was asked for something that cannot be done."""


class ConfigError(EvtoolError):
    """The project's own files are wrong. `findings` says each thing and where."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()):
        super().__init__(message)
        self.findings = tuple(findings)


class RoutesError(ConfigError):
    """A routes.yaml cannot be loaded. `findings` says each thing that is wrong and where; the message repeats them."""

    def __init__(self, message: str, findings: Sequence[Finding]):
        super().__init__(message, findings)
        lines = [
            format_location(finding.file, finding.line, finding.column)
            + f": {finding.code} {finding.message}"
            + (f" ({finding.suggestion})" if finding.suggestion else "")
            for finding in findings
        ]
        self.args = ("\n".join([message, *lines]),)


class StoreError(EvtoolError):
    """The store cannot be opened, read or written. What was acknowledged before is safe."""

    exit_code = EXIT_STORE


class DamageError(StoreError):
    """A part of the store cannot be read: something else than evtool, or the disk, has written to it."""
