"""Opens the reports that -o asks for. A report file appears only when it is complete."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from evtool.errors import UsageError
from evtool.reports.base import Report, Subject
from evtool.reports.formats.registry import CHECKING_COMMANDS, FOR_CI, KINDS
from evtool.schemas.validation import ValidationResult


@contextmanager
def open_reports(outputs: Sequence[str], subject: Subject, color: str) -> Iterator[Report]:
    """Opens the reports that -o asks for, as one report. Without -o it is text on standard output.

    Raises UsageError for an unknown format, and if two reports would go to standard output.
    """
    requested = [_parse_output(output, subject) for output in outputs] or [("text", None)]
    files = [file for _, file in requested]
    if files.count(None) > 1:
        raise UsageError("only one -o can go to standard output; give the others a file: -o junit=report.xml")
    kinds = {**KINDS, **subject.formats}
    with ExitStack() as at_exit:
        # All files are opened before the first report begins: a mistyped path must not be found after the work.
        streams: list[tuple[str, TextIO]] = []
        for kind, file in requested:
            stream = sys.stdout
            if file:
                stream = at_exit.enter_context(open_atomic(file))
            streams.append((kind, stream))
        yield _CombinedReport([kinds[kind](subject, stream, color) for kind, stream in streams])
        # Inside the block, so that report files do not appear if standard output cannot be written.
        sys.stdout.flush()


class _CombinedReport(Report):
    """Passes each result and record to several reports."""

    def __init__(self, reports: list[Report]):
        self._reports = reports

    def add_result(self, result: ValidationResult) -> None:
        for report in self._reports:
            report.add_result(result)

    def add_record(self, record: Mapping[str, Any]) -> None:
        for report in self._reports:
            report.add_record(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        for report in self._reports:
            report.end(tail)


def _parse_output(output: str, subject: Subject) -> tuple[str, Path | None]:
    """Splits `json` or `json=out.json` into the format and its file."""
    kind, _, file = output.partition("=")
    allowed = list(KINDS)
    # The formats for CI systems show findings with a location, which other commands do not have.
    if subject.command not in CHECKING_COMMANDS:
        allowed = [name for name in KINDS if name not in FOR_CI]
    allowed += subject.formats
    if kind not in allowed:
        raise UsageError(f"-o {kind}: {subject.command} has the formats {', '.join(allowed)}")
    if not file:
        return kind, None
    return kind, Path(file)


@contextmanager
def open_atomic(file: Path) -> Iterator[TextIO]:
    """Opens a file that appears only when everything is written. Only its owner may read it: events may be private.

    Raises UsageError if the file cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"cannot write {file}: it is a folder")
    # All commands of a step of GitHub Actions append to the same job summary.
    if str(file) == os.environ.get("GITHUB_STEP_SUMMARY"):
        with _open_stream(file, "a") as stream:
            yield stream
        return
    # A device such as /dev/null, or a named pipe, must not be replaced by a file.
    if file.exists() and not file.is_file():
        with _open_stream(file, "w") as stream:
            yield stream
        return
    # In the same folder, since a file cannot be renamed to another disk, and with the number of the process, since two
    # commands may write the same report.
    partial_file = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        stream = os.fdopen(os.open(partial_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
    try:
        with stream:
            yield stream
        partial_file.replace(file)
    finally:
        partial_file.unlink(missing_ok=True)


def _open_stream(file: Path, mode: str) -> TextIO:
    try:
        return cast("TextIO", file.open(mode, encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
