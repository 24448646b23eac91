"""The command `evtool handlers run`: calls one handler with an event, without storing anything."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Annotated, Any, NamedTuple

from evtool.cli.completion import complete_samples
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import Argument, Set, SetNew, Type
from evtool.cli.options import Source as SourceOption
from evtool.cli.runtime import build_rules, change_event, load_routes
from evtool.cli.session import Session, create_event_defaults, now_ms
from evtool.delivery.outcomes import build_event
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.emitted_ids import Cause
from evtool.events.event import Event, EventDefaults
from evtool.events.members import is_cloudevent
from evtool.events.payload_identity import PayloadIdentity
from evtool.findings.phrases import shorten
from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import Call, Done, Outcome, Unavailable
from evtool.reports.base import Report, Subject
from evtool.routes.project import Project
from evtool.routes.routes import HandlerEntry, Routes
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.terminal.screen import Screen
from evtool.terminal.styles import OUTCOME_STYLES

# Characters of the payload of an emitted event that are shown.
DETAIL_WIDTH = 200
# The handler gets this in place of the name of a route.
DIRECT_ROUTE = "direct"


class _Result(NamedTuple):
    """The result of a call: the outcome in one word, the error, the output of the handler, and the emitted events."""

    outcome: str
    error: str | None
    output: str
    events: tuple[Event, ...] = ()


def handlers_run(
    session: Session,
    name: Annotated[str, Argument("NAME", "the handler")],
    event: Annotated[str, Argument("EVENT", "a file, -, or the name of a sample", complete_samples)],
    *,
    set: Set = [],  # noqa: A002, B006  (never changed)
    set_new: SetNew = [],  # noqa: B006
    type: Type = None,  # noqa: A002
    source: SourceOption = None,
) -> int:
    """Call a single handler with an event, and show its outcome, its output and the events it emits.

    evtool stores nothing, applies no route, and does not deliver the emitted events. Exit code 1 if the handler fails
    or is not available.

    Example: evtool handlers run charge-card order-created --set detail.orderTotal=99.5
    """
    project = session.load_project()
    entry = _find_handler(load_routes(session, project), name)
    defaults = create_event_defaults()
    change = partial(change_event, project, defaults, None, set, set_new)
    checked = _read_event(project, event, defaults, PayloadIdentity(type, source), change)
    if checked.event is None:
        session.show_findings(checked.findings)
        if checked.is_unreadable:
            return EXIT_USAGE
        return EXIT_FINDINGS
    started = time.monotonic()
    with closing(entry.open()) as handler:
        outcome = handler(_build_call(checked.event))
    result = _build_result(outcome, checked.event, entry, build_rules(project))
    duration = round((time.monotonic() - started) * 1000)
    with session.open_report(Subject("handlers run", "emitted", _RunReport)) as report:
        for emitted in result.events:
            report.add_record(json.loads(emitted.raw))
        fields = {"outcome": result.outcome, "error": result.error, "duration_ms": duration, "output": result.output}
        report.end({"handler": name, **fields})
    if result.outcome == "done":
        return EXIT_OK
    return EXIT_FINDINGS


def _find_handler(routes: Routes, name: str) -> HandlerEntry:
    """Finds a handler by its name. Raises UsageError if no handler has it, and for an external handler."""
    if name not in routes.handlers:
        hint = did_you_mean(name, routes.handlers) or f"the handlers are {', '.join(routes.handlers) or 'none'}"
        raise UsageError(f"there is no handler {name}; {hint}")
    if routes.handlers[name].is_external:
        raise UsageError(f"the handler {name} is external: evtool never calls it")
    return routes.handlers[name]


def _read_event(
    project: Project,
    name: str,
    defaults: EventDefaults,
    identity: PayloadIdentity,
    change: Callable[[Event], Event],
) -> ValidationResult:
    """Reads the only event of an input. Raises UsageError if it has no event, or several."""
    inputs = EventInputs(resolve_paths([name], project))
    # Without its schema: an event that is not valid is a good test of a handler.
    results = inputs.check(validate_events(inputs.read(), Rules(None), defaults, identity=identity, change=change))
    first = next(results)
    if next(results, None) is not None:
        raise UsageError(f"{name} has several events; a handler is run with one")
    return first


def _build_call(event: Event) -> Call:
    return Call(event.raw, event.id, event.type, DIRECT_ROUTE, 1, event_source=event.source)


def _build_result(outcome: Outcome, event: Event, entry: HandlerEntry, rules: Rules) -> _Result:
    """Returns the result of a call. Emitted events are validated against their schemas, as in a delivery."""
    if isinstance(outcome, Unavailable):
        return _Result("unavailable", outcome.reason, "")
    if not isinstance(outcome, Done):
        return _Result(outcome.outcome, outcome.error, outcome.output)
    cause = Cause(event.source, event.id, DIRECT_ROUTE, entry.name, bus=event.bus or DEFAULT_BUS)
    events = []
    for number, emitted in enumerate(outcome.emitted):
        built = build_event(emitted, number, cause, rules, now_ms())
        # A string describes why it is not an event. A delivery then stores none of the emitted events.
        if isinstance(built, str):
            return _Result("bad-result", built, outcome.output)
        events.append(built)
    return _Result("done", None, outcome.output, tuple(events))


class _RunReport(Report):
    """The text report: the outcome, the output of the handler, and the emitted events."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self._events: list[Mapping[str, Any]] = []

    def add_record(self, record: Mapping[str, Any]) -> None:
        self._events.append(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        outcome = (tail["outcome"], OUTCOME_STYLES.get(tail["outcome"], "bold red"))
        error = ""
        if tail["error"]:
            error = f": {tail['error']}"
        self._screen.print_line((tail["handler"], "bold"), "  ", outcome, f"  {tail['duration_ms']:,} ms{error}")
        for line in tail["output"].splitlines():
            self._screen.print_line(f"    | {line}")
        for event in self._events:
            type_key, payload_key = "detail-type", "detail"
            if is_cloudevent(event):
                type_key, payload_key = "type", "data"
            payload = shorten(json.dumps(event.get(payload_key), ensure_ascii=False), DETAIL_WIDTH)
            name, source = (event[type_key], "bold"), event["source"]
            self._screen.print_line("    emitted ", name, f"  from {source}  {payload}")
