"""The command `evtool explain`: shows why routes match or do not match an event, condition by condition."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

from evtool.cli.completion import complete_samples
from evtool.cli.filters import find_event, read_pattern
from evtool.cli.inputs import EventInputs, resolve_path, resolve_paths
from evtool.cli.options import (
    Argument,
    EventBus,
    IdAt,
    Intake,
    MaxBytes,
    OfRoute,
    Option,
    SetNew,
    Source,
    Type,
    TypeAt,
    Unwrap,
)
from evtool.cli.payload_identity import read_identity
from evtool.cli.runtime import build_known_rules, change_event, load_routes
from evtool.cli.session import Session, create_event_defaults
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.events.payload_identity import PayloadIdentity
from evtool.findings.codes import CODES
from evtool.findings.examples import EXAMPLES
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.readers.files import MAX_BYTES, SourceText
from evtool.reports.base import Record, Subject
from evtool.reports.codes import CodeReport
from evtool.reports.explanations import (
    MAX_DETAILED,
    MAX_SHOWN,
    Candidate,
    build_explanation_record,
    build_schema_check,
    explain_candidates,
    format_headline,
    list_candidates,
    show_conditions,
)
from evtool.routes.project import Project
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.store.rows import StoredEvent
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.screen import Screen, format_count, open_stderr
from evtool.terminal.snippets import show_finding

NOT_FOUND = "no file, no sample and no stored event"
CODE = re.compile(r"EV\d{3}", re.IGNORECASE)


def explain(
    session: Session,
    event: Annotated[
        str,
        Argument("EVENT", "a file, -, a sample, the id of a stored event, or the code of a finding", complete_samples),
    ],
    *,
    set: Annotated[list[str], Option("--set", "set a field first, such as detail.total=5", "PATH=VALUE")] = [],  # noqa: A002, B006
    set_new: SetNew = [],  # noqa: B006
    type: Type = None,  # noqa: A002
    source: Source = None,
    type_at: TypeAt = None,
    id_at: IdAt = None,
    intake: Intake = None,
    event_bus: EventBus = None,
    route: OfRoute = None,
    pattern: Annotated[
        str | None, Option("--pattern", "try this event pattern instead of the routes", "JSON|@FILE")
    ] = None,
    unwrap: Unwrap = False,
    max_bytes: MaxBytes = MAX_BYTES,
) -> int:
    """Explain why routes match or do not match an event: each condition, the actual value, the nearest route first.

    Suggests the smallest change that makes a route match and that the schema allows. A file or a sample takes
    precedence over a stored event of the same name. Several events are explained one after the other. Given the code
    of a finding, such as EV104, it explains the code. Exit code 0 if a route matches, 1 if none matches or an event
    is not valid.

    Example: evtool explain cart-abandoned --set detail.cartTotal=12
    """
    if CODE.fullmatch(event) and not Path(event).exists():
        return _explain_code(session, event.upper())
    if route is not None and pattern is not None:
        raise UsageError("give --route or --pattern, not both")
    project = session.load_project() if pattern is None else _find_project(session, event)
    candidates = _select_candidates(session, project, route) if pattern is None else [Candidate(read_pattern(pattern))]
    defaults = create_event_defaults()
    stored = _find_stored(session, project, event, source) if project and resolve_path(event, project) is None else None
    paths = resolve_paths([event], project, not_found=NOT_FOUND) if project and not stored else [event]
    inputs = EventInputs(paths, unwrap=unwrap)
    texts: Iterable[SourceText | Finding] = inputs.read(max_bytes=max_bytes)
    if project and stored:
        texts = [SourceText(display_path(session.locate_store(project)), 1, 1, stored.raw)]
        event_bus = event_bus or stored.bus
    results = inputs.check(
        validate_events(
            texts,
            Rules(None),
            defaults,
            identity=read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake),
            change=partial(change_event, project, defaults, event_bus, set, set_new),
        )
    )
    rules = build_known_rules(project or session.try_project())
    first, *others = islice(results, 2)
    if not others:
        return _report_explanations(session, first, candidates, rules, show_locations=route is not None)
    return _report_several(
        session, chain([first], others, results), candidates, rules, show_locations=route is not None
    )


# --- what is explained -----------------------------------------------------------------------------------------------


def _find_project(session: Session, event: str) -> Project | None:
    """The project that may have a sample of this name; a pattern and a file need none."""
    if event == "-" or Path(event).exists():
        return None
    return session.find_project()


def _find_stored(session: Session, project: Project, event_id: str, source: str | None) -> StoredEvent | None:
    """The stored event of an id, if there is one: what is neither a file nor a sample may be an id."""
    if is_missing(session.locate_store(project)):
        return None
    with Store(session.locate_store(project, existing=True)) as store:
        return find_event(store, event_id, source)


def _select_candidates(session: Session, project: Project | None, name: str | None) -> list[Candidate]:
    assert project is not None
    routes = load_routes(session, project)
    return list_candidates(routes.restrict_to(name) if name is not None else routes, project)


def _report_explanations(
    session: Session, result: ValidationResult, candidates: list[Candidate], rules: Rules, *, show_locations: bool
) -> int:
    """Tells about every candidate, the nearest first, or what is wrong with the event."""
    event, record = result.event, _explain_event(session, result, candidates, rules)
    subject = Subject(
        "explain", "routes", lambda screen: _ExplainReport(screen, session, event, show_locations=show_locations)
    )
    with session.open_report(subject) as report:
        for route in record["routes"]:
            report.add(route)
        report.end({"event": record["event"], "findings": record["findings"]})
    if event is None:
        if result.is_unreadable:
            return EXIT_USAGE
        return EXIT_FINDINGS
    if any(route["matches"] for route in record["routes"]):
        return EXIT_OK
    return EXIT_FINDINGS


def _report_several(
    session: Session,
    results: Iterable[ValidationResult],
    candidates: list[Candidate],
    rules: Rules,
    *,
    show_locations: bool,
) -> int:
    """As `_report_explanations`, for one event after the other."""
    subject = Subject(
        "explain", "events", lambda screen: _SeveralReport(screen, session, show_locations=show_locations)
    )
    events = matched = 0
    code = EXIT_OK
    with session.open_report(subject) as report:
        for result in results:
            record = _explain_event(session, result, candidates, rules)
            report.add(record)
            events += 1
            matched += any(route["matches"] for route in record["routes"])
            if result.event is None:
                code = max(code, EXIT_USAGE if result.is_unreadable else EXIT_FINDINGS)
        report.end({"summary": {"events": events, "matched": matched}})
    if matched:
        return code
    return max(code, EXIT_FINDINGS)


def _explain_event(
    session: Session, result: ValidationResult, candidates: list[Candidate], rules: Rules
) -> dict[str, Any]:
    """An event, its routes, the nearest first, and what is wrong with it, which is shown."""
    event = result.event
    for finding in result.findings:
        show_finding(Screen(open_stderr(), color=session.color), finding)
    if event is not None:
        explanations = explain_candidates(
            event.raw, event.bus or DEFAULT_BUS, candidates, build_schema_check(rules, event)
        )
    else:
        explanations = []
    return {
        "event": {"id": event.id, "type": event.type, "source": event.source} if event else None,
        "routes": [build_explanation_record(candidate, explanation) for candidate, explanation in explanations],
        "findings": [finding.as_dict() for finding in result.findings],
    }


class _ExplainReport:
    """The text report: the nearest routes condition by condition, a line for each of some others."""

    def __init__(self, screen: Screen, session: Session, event: Event | None, *, show_locations: bool):
        self._screen, self._session, self._event, self._show_locations = screen, session, event, show_locations
        self._counts, self._hidden_count = Counter[bool | None](), 0  # of routes, by whether they match

    def add(self, record: Record) -> None:
        assert not isinstance(record, ValidationResult)
        if not self._counts.total() and self._event is not None:
            _show_event(self._screen, self._event._asdict())
        detailed = self._counts.total() < MAX_DETAILED or self._session.verbose > 0
        is_first_line = self._counts.total() == MAX_DETAILED
        self._counts[record["matches"]] += 1
        if self._counts.total() > MAX_SHOWN and not (self._session.verbose or record["matches"]):
            self._hidden_count += 1
            return
        if detailed or is_first_line:
            self._screen.print_line("")
        self._screen.print_line(*format_headline(record, list_failed=not detailed))
        if detailed:
            show_conditions(self._screen, record, show_locations=self._show_locations)

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002  (the contract of all reports)
        if self._hidden_count:
            self._screen.print_line(f"and {format_count(self._hidden_count, 'more route')} farther off; -v shows all")
        if self._session.quiet or self._counts.total() < 2:
            return
        hint = ""
        if self._counts.total() > MAX_DETAILED and not self._session.verbose:
            hint = "; -v shows every condition"
        verb = "match"
        if self._counts[True] == 1:
            verb = "matches"
        self._screen.print_line("")
        undecided = ""
        if self._counts[None]:
            undecided = f", {self._counts[None]} undecided"
        self._screen.print_line(
            f"{self._counts[True] or 'none'} of {format_count(self._counts.total(), 'route')} {verb}{undecided}{hint}"
        )


class _SeveralReport:
    """The text report of several events: each as if it was the only one, with a blank line between them."""

    def __init__(self, screen: Screen, session: Session, *, show_locations: bool):
        self._screen, self._session, self._show_locations = screen, session, show_locations
        self._count = 0

    def add(self, record: Record) -> None:
        assert not isinstance(record, ValidationResult)
        if record["event"] is None:
            return
        if self._count:
            self._screen.print_line("")
        self._count += 1
        _show_event(self._screen, record["event"])
        report = _ExplainReport(self._screen, self._session, None, show_locations=self._show_locations)
        for route in record["routes"]:
            report.add(route)
        report.end({})

    def end(self, tail: Mapping[str, Any]) -> None:
        if not self._session.quiet:
            summary = tail["summary"]
            self._screen.print_line("")
            self._screen.print_line(
                f"{summary['matched'] or 'none'} of {format_count(summary['events'], 'event')} match a route"
            )


def _show_event(screen: Screen, event: Mapping[str, Any]) -> None:
    screen.print_line((event["type"], "bold"), "  ", (event["id"], "dim"), "  ", (event["source"], "dim"))


# --- codes -----------------------------------------------------------------------------------------------------------


def _explain_code(session: Session, code: str) -> int:
    """Tells what the code of a finding means."""
    if code not in CODES:
        similar = [candidate for candidate in CODES if candidate[:3] == code[:3]] or list(CODES)
        raise UsageError(f"there is no finding {code}; there are {', '.join(similar)}")
    with session.open_report(Subject("explain", "codes", CodeReport)) as report:
        report.add({"code": code, "meaning": CODES[code], **EXAMPLES[code]._asdict()})
        report.end({})
    return EXIT_OK
