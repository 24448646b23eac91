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
    """The options that every command has, and the parts of a command that depend only on them."""

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
        """Whether -v asks for more details in a text report: only a text report has them."""
        formats = self.list_formats()
        return self.verbose > 0 and (not formats or "text" in formats)

    def list_formats(self) -> list[str]:
        """Returns the formats of -o, without their files."""
        return [entry.partition("=")[0] for entry in self.output]

    def load_project(self) -> Project:
        """Reads the project. Raises UsageError if there is no routes.yaml."""
        return project_file.require_project(self.routes, form=self.routes_format, schemas=self.schemas)

    def find_project(self) -> Project | None:
        """Reads the project; None if there is no routes.yaml."""
        return project_file.read_project(self.routes, form=self.routes_format, schemas=self.schemas)

    def try_project(self) -> Project | None:
        """Reads the project for a command that does not need one; None also if routes.yaml cannot be read."""
        try:
            return self.find_project()
        except EvtoolError:
            return None

    def locate_store(self, project: Project | None = None, *, existing: bool = False) -> Path:
        """Returns the path of the store: --store, EVTOOL_STORE, or `store` of the project.

        With `existing`, raises UsageError if the file is missing, and StoreError if it is empty. Raises UsageError if
        the path depends on the project and there is no routes.yaml.
        """
        path = self.store or os.environ.get("EVTOOL_STORE")
        if path:
            file = Path(path)
        else:
            file = (project or self.load_project()).store
        if existing and is_missing(file):
            raise UsageError(f"there is no store {display_path(file)} yet: `evtool publish` creates it")
        # SQLite would treat an empty file as a new store, and hide that the events are lost.
        if existing:
            check_not_empty(file)
        return file

    def open_screen(self) -> Screen:
        """Returns standard error as a screen: messages go there, and results to standard output."""
        return Screen(open_stderr(), color=self.color)

    def print_note(self, text: str) -> None:
        """Prints a remark that is not a result on standard error, unless -q is given."""
        if not self.quiet:
            self.open_screen().print_line(text)

    def print_error(self, text: str) -> None:
        """Prints an error that does not end the command on standard error."""
        self.open_screen().print_line(("evtool: ", "bold"), text)

    def show_findings(self, findings: Iterable[Finding]) -> None:
        """Shows findings on standard error, also with -q."""
        for finding in findings:
            show_finding(self.open_screen(), finding)

    def show_warnings(self, findings: Iterable[Finding]) -> None:
        """Shows findings that do not stop the command on standard error, unless -q is given."""
        if not self.quiet:
            self.show_findings(findings)

    def open_report(self, subject: Subject) -> AbstractContextManager[Report]:
        """Opens the reports that -o asks for, as one report."""
        return open_reports(self.output, subject, self.color)


def now_ms() -> int:
    """Returns the time as milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def open_stdin() -> BinaryIO:
    """Returns standard input as bytes. A closed standard input is empty."""
    if sys.stdin is None:
        return BytesIO()
    # A stream that does not block seems to end where the program before it in a pipe pauses. Tests replace standard
    # input by an object without a file descriptor.
    with suppress(OSError, ValueError):
        os.set_blocking(sys.stdin.fileno(), True)
    return sys.stdin.buffer


def create_event_defaults() -> EventDefaults:
    """Returns what events without an envelope get: a random id, and the current time."""
    return EventDefaults(generate_id, _format_now)


def _format_now() -> str:
    return format_timestamp(now_ms())


def generate_id() -> str:
    """Returns a random id in the form that EventBridge uses."""
    # This import takes half of the start-up time of `validate`, and most events have an id.
    import uuid  # noqa: PLC0415

    return str(uuid.uuid4())
