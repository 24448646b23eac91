"""The command `evtool push`: sends stored events, or those of files, to a bus."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated

from evtool.buses.registry import describe_bus, open_named_bus
from evtool.cli.filters import build_filter, read_pattern
from evtool.cli.inputs import EventInputs
from evtool.cli.options import (
    Argument,
    Limit,
    MaxBytes,
    NoSchema,
    NoValidate,
    OfPattern,
    OfRoute,
    OfSource,
    OfType,
    Since,
    Until,
)
from evtool.cli.runtime import build_rules, load_routes
from evtool.cli.session import Session, create_event_defaults
from evtool.commands.bus_sending import send_events
from evtool.commands.replay_events import read_stored_events
from evtool.delivery.replays.plan import Planner, make_planner
from evtool.errors import UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import parse_event
from evtool.patterns.pattern import Pattern
from evtool.readers.files import EVENT_SUFFIXES, MAX_BYTES, STDIN
from evtool.routes.project import Project
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.store.rows import Filter
from evtool.store.store import Store


def push(
    session: Session,
    bus: Annotated[str, Argument("URL|NAME", describe_bus())],
    events: Annotated[
        list[str], Argument("[ID|PATH]...", "ids of stored events, or files; all stored events if none is given")
    ] = [],  # noqa: B006  (never changed)
    *,
    since: Since = None,
    until: Until = None,
    type: OfType = None,  # noqa: A002
    source: OfSource = None,
    route: OfRoute = None,
    pattern: OfPattern = None,
    limit: Limit = None,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
    max_bytes: MaxBytes = MAX_BYTES,
) -> int:
    """Send stored events, or events of files, to a bus.

    Each event is reported when the bus has confirmed it. Events of files are validated first, as `publish` does. What
    replays have stored is sent only if it is named by ID. Exit code 1 if an event is invalid or was not confirmed.

    Example: evtool push kafka://localhost:9092/orders --type order.created --since 2h
    """
    project = session.load_project() if route else session.find_project()
    target = open_named_bus(bus, project)
    selection = build_filter(since=since, until=until, type=type, source=source)
    files = [name for name in events if _is_path(name)]
    if files and len(files) < len(events):
        raise UsageError("name ids of stored events or files, not both: a name without a file is an id")
    selects = _Selection(session, project, read_pattern(pattern) if pattern is not None else None, route)
    with ExitStack() as opened:
        inputs = EventInputs(files)
        if files:
            rules = build_rules(project, validate=not no_validate, no_schema=no_schema) if project else Rules(None)
            texts = inputs.read(max_bytes=max_bytes)
            results: Iterable[ValidationResult] = _filter_files(
                inputs.check(validate_events(texts, rules, create_event_defaults())), selection
            )
        else:
            selection = selection._replace(ids=tuple(events), published=None if events else True)
            store = opened.enter_context(Store(session.locate_store(project, existing=True)))
            store.keep_few_pages()
            results = _read_store(session, store, selection)
        chosen = islice(filter(selects.includes, results), limit)
        return inputs.worst_exit_code(send_events(session, "push", target, chosen))


class _Selection:
    """Which events --pattern and --route select. Input that is not an event passes, so that it is reported."""

    def __init__(self, session: Session, project: Project | None, pattern: Pattern | None, route: str | None):
        self._pattern = pattern
        self._plan: Planner | None = None
        if route is not None:
            assert project is not None
            self._plan = make_planner(load_routes(session, project).restrict_to(route), "")

    def includes(self, result: ValidationResult) -> bool:
        event = result.event
        if event is None:
            return True
        return (self._pattern is None or self._pattern.matches(event.raw) is True) and (
            self._plan is None or bool(self._plan(event.raw, event.bus or DEFAULT_BUS))
        )


def _is_path(name: str) -> bool:
    return name == STDIN or "/" in name or name.endswith(EVENT_SUFFIXES) or Path(name).exists()


def _filter_files(results: Iterable[ValidationResult], selection: Filter) -> Iterator[ValidationResult]:
    return (result for result in results if result.event is None or selection.matches(result.event))


def _read_store(session: Session, store: Store, selection: Filter) -> Iterator[ValidationResult]:
    for stored in read_stored_events(session, store, selection):
        event = parse_event(stored.raw)._replace(bus=stored.bus)
        yield ValidationResult(str(store.file), 1, event)
