"""The session: what the options that all commands share come to: the project, the store, where results and notes go."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

from evtool.errors import UsageError
from evtool.events.event import Stamp, rfc3339
from evtool.reports.base import Record, Report, Subject
from evtool.reports.formats.registry import FINDINGS_ONLY, KINDS
from evtool.routes import project as projects
from evtool.routes.project import Project
from evtool.store.sqlite.connection import check_made, is_missing
from evtool.terminal.screen import Screen, errors


class Session(NamedTuple):
    """The options that every command takes."""

    routes: str | None = None
    store: str | None = None
    quiet: bool = False
    verbose: int = 0
    color: str = "auto"
    output: tuple[str, ...] = ()

    def project(self) -> Project:
        """The project; raises UsageError when there is none."""
        return projects.need(self.routes)

    def store_file(self, project: Project | None = None, *, existing: bool = False) -> Path:
        """Where the store is: --store, EVTOOL_STORE, or what the project says.

        Raises UsageError when there is no project to say it, or when the file has to exist and does not; StoreError
        when it has to, and is empty.
        """
        named = self.store or os.environ.get("EVTOOL_STORE")
        file = Path(named) if named else (project or self.project()).store
        if existing and is_missing(file):
            raise UsageError(f"there is no store {projects.display(file)} yet: `evtool publish` makes it")
        if existing:
            check_made(file)
        return file

    def note(self, text: str) -> None:
        """Something worth saying that is no result: to standard error, unless -q."""
        if not self.quiet:
            Screen(errors(), color=self.color).line(text)

    @contextmanager
    def report(self, subject: Subject) -> Iterator[Report]:
        """The reports that -o asks for, as one. A file appears when it is whole."""
        wanted = [_output(entry, subject) for entry in self.output] or [("text", None)]
        if sum(file is None for _, file in wanted) > 1:
            raise UsageError("only one -o can go to standard output; give the others a file: -o junit=report.xml")
        with ExitStack() as files:
            opened = [(kind, files.enter_context(_whole(file)) if file else sys.stdout) for kind, file in wanted]
            yield _Several([KINDS[kind](subject, stream, self.color) for kind, stream in opened])
            sys.stdout.flush()


class _Several:
    """Several reports that are told the same."""

    def __init__(self, reports: list[Report]):
        self._reports = reports

    def add(self, record: Record) -> None:
        for report in self._reports:
            report.add(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        for report in self._reports:
            report.end(tail)


def now_ms() -> int:
    """The time as milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def standard_input() -> BinaryIO:
    """Standard input as bytes; nothing when it is closed. One that does not block would seem to end where it pauses."""
    if sys.stdin is None:
        return BytesIO()
    with suppress(OSError, ValueError):  # a test's has no descriptor
        os.set_blocking(sys.stdin.fileno(), True)
    return sys.stdin.buffer


def stamp() -> Stamp:
    """What events without an envelope get: a random id, and the time."""
    return Stamp(new_id, lambda: rfc3339(now_ms()))


def new_id() -> str:
    """A random id, as EventBridge gives them."""
    import uuid  # noqa: PLC0415  (half of what `validate` starts in, and most events have an id)

    return str(uuid.uuid4())


def _output(entry: str, subject: Subject) -> tuple[str, Path | None]:
    """`json` or `json=out.json`: the kind of report and its file."""
    kind, _, file = entry.partition("=")
    fitting = [name for name in KINDS if subject.key == "findings" or name not in FINDINGS_ONLY]
    if kind not in fitting:
        raise UsageError(f"-o {kind}: {subject.command} can be told as {', '.join(fitting)}")
    return kind, Path(file) if file else None


@contextmanager
def _whole(file: Path) -> Iterator[TextIO]:
    """A file that is there when everything is written, and not before; only its owner may read it.

    A device or a pipe is written to as it is.
    """
    if file.is_dir():
        raise UsageError(f"cannot write {file}: it is a folder")
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8") as stream:
            yield stream
        return
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        stream = os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
    try:
        with stream:
            yield stream
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
