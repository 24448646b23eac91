"""The options that all commands share, and what follows from them: project, store, reports, notes, clock and ids."""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from evtool.cli.outputs import open_reports
from evtool.errors import EvtoolError, UsageError
from evtool.events.event import EventDefaults
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.reports.base import Report, Subject
from evtool.routes import project as project_file
from evtool.routes.project import Project
from evtool.store.sqlite.files import check_not_empty, is_missing
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding


class Session(NamedTuple):
    """The options that every command takes."""

    routes: str | None = None
    store: str | None = None
    quiet: bool = False
    verbose: int = 0
    color: str = "auto"
    output: tuple[str, ...] = ()
    routes_format: str | None = None
    schemas: tuple[str, ...] = ()

    @property
    def shows_details(self) -> bool:
        """Whether a text report is wanted that says more."""
        formats = [entry.partition("=")[0] for entry in self.output]
        return self.verbose > 0 and (not formats or "text" in formats)

    def load_project(self) -> Project:
        """The project; raises UsageError when there is none."""
        return project_file.require_project(self.routes, form=self.routes_format, schemas=self.schemas)

    def find_project(self) -> Project | None:
        """The project, or None when there is none."""
        return project_file.read_project(self.routes, form=self.routes_format, schemas=self.schemas)

    def try_project(self) -> Project | None:
        """The project for a command that does not need one: None without one, or if it cannot be read."""
        try:
            return self.find_project()
        except EvtoolError:
            return None

    def locate_store(self, project: Project | None = None, *, existing: bool = False) -> Path:
        """Where the store is: --store, EVTOOL_STORE, or what the project says.

        Raises UsageError when there is no project to say it, or when the file has to exist and does not; StoreError
        when it has to, and is empty.
        """
        path = self.store or os.environ.get("EVTOOL_STORE")
        if path:
            file = Path(path)
        else:
            file = (project or self.load_project()).store
        if existing and is_missing(file):
            raise UsageError(f"there is no store {display_path(file)} yet: `evtool publish` makes it")
        if existing:
            check_not_empty(file)
        return file

    def print_note(self, text: str) -> None:
        """Something worth saying that is no result: to standard error, unless -q."""
        if not self.quiet:
            Screen(open_stderr(), color=self.color).print_line(text)

    def print_error(self, text: str) -> None:
        """An error that does not end the command: to standard error."""
        Screen(open_stderr(), color=self.color).print_line(("evtool: ", "bold"), text)

    def show_warnings(self, findings: Iterable[Finding]) -> None:
        """What is hardly meant in the files of the project: to standard error, unless -q."""
        if not self.quiet:
            for finding in findings:
                show_finding(Screen(open_stderr(), color=self.color), finding)

    def open_report(self, subject: Subject) -> AbstractContextManager[Report]:
        """The reports that -o asks for, as one."""
        return open_reports(self.output, subject, self.color)


def now_ms() -> int:
    """The time as milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def open_stdin() -> BinaryIO:
    """Standard input as bytes; nothing when it is closed. One that does not block would seem to end where it pauses."""
    if sys.stdin is None:
        return BytesIO()
    with suppress(OSError, ValueError):  # a test's has no descriptor
        os.set_blocking(sys.stdin.fileno(), True)
    return sys.stdin.buffer


def create_event_defaults() -> EventDefaults:
    """What events without an envelope get: a random id, and the time."""
    return EventDefaults(generate_id, lambda: format_timestamp(now_ms()))


def generate_id() -> str:
    """A random id, as EventBridge gives them."""
    import uuid  # noqa: PLC0415  (half of what `validate` starts in, and most events have an id)

    return str(uuid.uuid4())
