"""The values that the parts of the server share: the project, its routes and rules, the writer, and the settings."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from evtool.events.event import Event, EventDefaults
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules
from evtool.server.log import Log
from evtool.server.writer import Writer


class Settings(NamedTuple):
    """How the server was started. Without a token everybody who reaches it may use it; it is never shown."""

    token: str | None = None
    validates: bool = False  # whether PutEvents refuses entries that do not fit their schemas
    delivers: bool = False  # whether this process calls handlers
    logs_requests: bool = False
    # Names in `Host` that are allowed besides the names of this computer.
    host_names: frozenset[str] = frozenset()


class Context(NamedTuple):
    """The values that the parts of the server share. All of them may be used in several threads at a time.

    A connection to the store may not: `writer` has one, and who reads opens one in the thread that reads.
    """

    project: Project
    routes: Routes
    rules: Rules
    defaults: EventDefaults
    now: Callable[[], int]  # milliseconds since 1970
    store_file: Path
    writer: Writer
    log: Log
    settings: Settings = Settings()
    # This function gets each event that is stored.
    note_undecided: Callable[[Event], None] = lambda _event: None
