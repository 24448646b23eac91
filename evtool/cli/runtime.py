"""Opens the routes, the store and the handlers for a command that delivers events."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import SystemRandom

from evtool.cli.session import Session, now_ms
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment, Runtime
from evtool.handlers.processes import call_log
from evtool.paths import display_path
from evtool.routes import routes as route_table
from evtool.routes.project import Project
from evtool.schemas.validation import Rules
from evtool.schemas.validator import Schemas
from evtool.store.sqlite.files import call_log_prefix
from evtool.store.store import Store


def build_rules(project: Project, *, validate: bool = True, no_schema: str = "error") -> Rules:
    """What the events of a project are held against; without a schema folder only their envelopes are judged."""
    folders = project.schemas
    return Rules(Schemas(folders) if validate and folders else None, no_schema)


@contextmanager
def open_runtime(session: Session, project: Project, rules: Rules) -> Iterator[Runtime]:
    """Opens the road and closes it: the store, and the handlers that were kept warm."""
    routes = route_table.load_routes(project)
    environment = Environment(now_ms, SystemRandom(), f"{os.getpid()}-{uuid.uuid4().hex[:8]}", rules)
    file = session.locate_store(project)
    if session.verbose:
        session.print_note(f"routes: {project.display_name}, store: {display_path(file)}")
    with (
        Store(file) as store,
        HandlerPool(
            routes, partial(call_log.open_call_log, call_log_prefix(store.file), environment.owner)
        ) as handlers,
    ):
        yield Runtime(store, routes, handlers, environment)
