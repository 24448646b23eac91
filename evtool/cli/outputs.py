"""Opens the reports that -o asks for; a report file appears only when it is complete."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from evtool.errors import UsageError
from evtool.reports.base import Record, Report, Subject
from evtool.reports.formats.registry import CHECKING_COMMANDS, FOR_CI, KINDS


@contextmanager
def open_reports(outputs: Sequence[str], subject: Subject, color: str) -> Iterator[Report]:
    """Opens the reports that -o asks for, as one; text on standard output if there is none. Raises UsageError.

    A file appears only when it is complete.
    """
    requested = [_parse_output(output, subject) for output in outputs] or [("text", None)]
    if sum(file is None for _, file in requested) > 1:
        raise UsageError("only one -o can go to standard output; give the others a file: -o junit=report.xml")
    with ExitStack() as files:
        streams = [(kind, files.enter_context(open_atomic(file)) if file else sys.stdout) for kind, file in requested]
        kinds = {**KINDS, **subject.formats}
        yield _CombinedReport([kinds[kind](subject, stream, color) for kind, stream in streams])
        sys.stdout.flush()


class _CombinedReport:
    """Several reports that get the same records."""

    def __init__(self, reports: list[Report]):
        self._reports = reports

    def add(self, record: Record) -> None:
        for report in self._reports:
            report.add(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        for report in self._reports:
            report.end(tail)


def _parse_output(output: str, subject: Subject) -> tuple[str, Path | None]:
    """`json` or `json=out.json`: the kind of report and its file."""
    kind, _, file = output.partition("=")
    allowed = [name for name in KINDS if subject.command in CHECKING_COMMANDS or name not in FOR_CI]
    allowed += subject.formats
    if kind not in allowed:
        raise UsageError(f"-o {kind}: {subject.command} has the formats {', '.join(allowed)}")
    return kind, Path(file) if file else None


@contextmanager
def open_atomic(file: Path) -> Iterator[TextIO]:
    """Opens a file that appears only when everything is written, and that only its owner may read.

    A device or a pipe is written to directly. The job summary of GitHub Actions is appended to, since all commands of a
    step write to the same file.
    """
    if file.is_dir():
        raise UsageError(f"cannot write {file}: it is a folder")
    if str(file) == os.environ.get("GITHUB_STEP_SUMMARY"):
        with _open_stream(file, "a") as stream:
            yield stream
        return
    if file.exists() and not file.is_file():
        with _open_stream(file, "w") as stream:
            yield stream
        return
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
