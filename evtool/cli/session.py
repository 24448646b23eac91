"""The session: what the options that all commands share come to: the project, the store, where results and notes go."""

import os
import sys
import time
from contextlib import AbstractContextManager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from evtool.cli.outputs import open_reports
from evtool.errors import UsageError
from evtool.events.event import Stamp
from evtool.events.timestamps import rfc3339
from evtool.paths import display
from evtool.reports.base import Report, Subject
from evtool.routes import project as projects
from evtool.routes.project import Project
from evtool.store.sqlite.files import check_not_empty, is_missing
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
        return projects.require_project(self.routes)

    def store_file(self, project: Project | None = None, *, existing: bool = False) -> Path:
        """Where the store is: --store, EVTOOL_STORE, or what the project says.

        Raises UsageError when there is no project to say it, or when the file has to exist and does not; StoreError
        when it has to, and is empty.
        """
        named = self.store or os.environ.get("EVTOOL_STORE")
        file = Path(named) if named else (project or self.project()).store
        if existing and is_missing(file):
            raise UsageError(f"there is no store {display(file)} yet: `evtool publish` makes it")
        if existing:
            check_not_empty(file)
        return file

    def note(self, text: str) -> None:
        """Something worth saying that is no result: to standard error, unless -q."""
        if not self.quiet:
            Screen(errors(), color=self.color).line(text)

    def report(self, subject: Subject) -> AbstractContextManager[Report]:
        """The reports that -o asks for, as one."""
        return open_reports(self.output, subject, self.color)


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
