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
from evtool.findings.finding import Finding, list_finding_records
from evtool.paths import display_path
from evtool.readers.files import MAX_BYTES, SourceText
from evtool.reports.base import Report, Subject
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
from evtool.terminal.screen import Screen, format_count

# What the message about an unknown name lists as missing.
NOT_FOUND = "no file, no sample and no stored event"
CODE = re.compile(r"EV\d{3}", re.IGNORECASE)


def explain(
    session: Session,
    event: Annotated[
        str,
        Argument("EVENT", "a file, -, a sample, the id of a stored event, or a finding code", complete_samples),
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
        str | None, Option("--pattern", "explain this event pattern, in place of the routes", "JSON|@FILE")
    ] = None,
    unwrap: Unwrap = False,
    max_bytes: MaxBytes = MAX_BYTES,
) -> int:
    """Explain why routes match or do not match an event: each condition and the actual value, the nearest route first.

    Suggests the smallest change that makes a route match and that the schema allows. A file or a sample takes
    precedence over a stored event of the same name. Several events are explained one after the other. With a finding
    code in place of an event, such as EV104, it explains the code. Exit code 0 if a route matches, 1 if none matches or
    an event is not valid.

    Example: evtool explain cart-abandoned --set detail.cartTotal=12
    """
    if CODE.fullmatch(event) and not Path(event).exists():
        return _explain_code(session, event.upper())
    if route is not None and pattern is not None:
        raise UsageError("give --route or --pattern, not both")
    if pattern is None:
        project: Project | None = session.load_project()
        candidates = _select_candidates(session, project, route)
    else:
        project = _find_project(session, event)
        candidates = [Candidate(read_pattern(pattern))]
    texts, inputs, bus = _open_event(session, project, event, source, unwrap=unwrap, max_bytes=max_bytes)
    defaults = create_event_defaults()
    results = inputs.check(
        validate_events(
            texts,
            Rules(None),
            defaults,
            identity=read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake),
            change=partial(change_event, project, defaults, event_bus or bus, set, set_new),
        )
    )
    rules = build_known_rules(project or session.try_project())
    # The report of a single event has another shape, so that the second event must be known before it begins.
    first_results = list(islice(results, 2))
    if len(first_results) == 1:
        return _report_explanations(session, first_results[0], candidates, rules, show_locations=route is not None)
    return _report_several(session, chain(first_results, results), candidates, rules, show_locations=route is not None)


# --- input -----------------------------------------------------------------------------------------------------------


def _open_event(
    session: Session, project: Project | None, name: str, source: str | None, *, unwrap: bool, max_bytes: int
) -> tuple[Iterable[SourceText | Finding], EventInputs, str | None]:
    """Finds a file, a sample, or a stored event. Returns the texts, the input, and the bus of a stored event."""
    if project is None:
        inputs = EventInputs([name], unwrap=unwrap)
        return inputs.read(max_bytes=max_bytes), inputs, None
    stored = None
    if resolve_path(name, project) is None:
        stored = _find_stored(session, project, name, source)
    if stored is None:
        inputs = EventInputs(resolve_paths([name], project, not_found=NOT_FOUND), unwrap=unwrap)
        return inputs.read(max_bytes=max_bytes), inputs, None
    text = SourceText(display_path(session.locate_store(project)), 1, 1, stored.raw)
    return [text], EventInputs([name], unwrap=unwrap), stored.bus


def _find_project(session: Session, event: str) -> Project | None:
    """Returns the project that may have a sample of this name. A pattern and a file need no project."""
    if event == "-" or Path(event).exists():
        return None
    return session.find_project()


def _find_stored(session: Session, project: Project, event_id: str, source: str | None) -> StoredEvent | None:
    """Finds the stored event with an id. A project without a store has none."""
    if is_missing(session.locate_store(project)):
        return None
    with Store(session.locate_store(project, existing=True)) as store:
        return find_event(store, event_id, source)


def _select_candidates(session: Session, project: Project | None, name: str | None) -> list[Candidate]:
    assert project is not None
    routes = load_routes(session, project)
    if name is not None:
        routes = routes.restrict_to(name)
    return list_candidates(routes, project)


# --- reports ---------------------------------------------------------------------------------------------------------


def _report_explanations(
    session: Session, result: ValidationResult, candidates: list[Candidate], rules: Rules, *, show_locations: bool
) -> int:
    """Reports every candidate for one event, the nearest first, or the problems of the event. Returns the exit code."""
    event, record = result.event, _explain_event(session, result, candidates, rules)

    def build_text_report(screen: Screen) -> _ExplainReport:
        return _ExplainReport(screen, session, event, show_locations=show_locations)

    with session.open_report(Subject("explain", "routes", build_text_report)) as report:
        for route in record["routes"]:
            report.add_record(route)
        report.end({"event": record["event"], "findings": record["findings"]})
    if event is None:
        return _rate_problem(result)
    if _has_match(record):
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
    """Reports one event after the other, as `_report_explanations` does for one. Returns the exit code."""
    subject = Subject("explain", "events", partial(_SeveralReport, session=session, show_locations=show_locations))
    events = matched = 0
    code = EXIT_OK
    with session.open_report(subject) as report:
        for result in results:
            record = _explain_event(session, result, candidates, rules)
            report.add_record(record)
            events += 1
            matched += _has_match(record)
            if result.event is None:
                code = max(code, _rate_problem(result))
        report.end({"summary": {"events": events, "matched": matched}})
    if matched:
        return code
    return max(code, EXIT_FINDINGS)


def _rate_problem(result: ValidationResult) -> int:
    if result.is_unreadable:
        return EXIT_USAGE
    return EXIT_FINDINGS


def _has_match(record: Mapping[str, Any]) -> bool:
    return any(route["matches"] for route in record["routes"])


def _explain_event(
    session: Session, result: ValidationResult, candidates: list[Candidate], rules: Rules
) -> dict[str, Any]:
    """Explains all candidates, the nearest first. Shows the findings about the event on standard error."""
    session.show_findings(result.findings)
    record: dict[str, Any] = {"event": None, "routes": [], "findings": list_finding_records(result.findings)}
    event = result.event
    if event is None:
        return record
    record["event"] = {"id": event.id, "type": event.type, "source": event.source}
    schema_check = build_schema_check(rules, event)
    is_brief = not session.output and not session.verbose
    for candidate, explanation in explain_candidates(event.raw, event.bus or DEFAULT_BUS, candidates, schema_check):
        if is_brief and len(record["routes"]) >= MAX_SHOWN and not explanation.matches:
            # The text report only counts it.
            record["routes"].append({"matches": explanation.matches})
        else:
            record["routes"].append(build_explanation_record(candidate, explanation))
    return record


class _ExplainReport(Report):
    """The text report: the nearest routes condition by condition, then a line for each of some other routes."""

    def __init__(self, screen: Screen, session: Session, event: Event | None, *, show_locations: bool):
        self._screen, self._session, self._event, self._show_locations = screen, session, event, show_locations
        # How many routes match, do not match (False), or are undecided (None).
        self._counts = Counter[bool | None]()
        self._hidden_count = 0

    def add_record(self, record: Mapping[str, Any]) -> None:
        if not self._counts.total() and self._event is not None:
            _show_event(self._screen, self._event._asdict())
        detailed = self._counts.total() < MAX_DETAILED or self._session.verbose > 0
        is_first_line = self._counts.total() == MAX_DETAILED
        self._counts[record["matches"]] += 1
        # A route that matches is always shown, however many routes the project has.
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
            hidden = format_count(self._hidden_count, "more route")
            self._screen.print_line(f"and {hidden} that are farther from a match; -v shows all")
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


class _SeveralReport(Report):
    """The text report of several events: each as if it were the only one, with a blank line between them."""

    def __init__(self, screen: Screen, session: Session, *, show_locations: bool):
        self._screen, self._session, self._show_locations = screen, session, show_locations
        self._count = 0

    def add_record(self, record: Mapping[str, Any]) -> None:
        if record["event"] is None:
            return
        if self._count:
            self._screen.print_line("")
        self._count += 1
        _show_event(self._screen, record["event"])
        report = _ExplainReport(self._screen, self._session, None, show_locations=self._show_locations)
        for route in record["routes"]:
            report.add_record(route)
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
    """Explains a finding code, with a bad and a good example."""
    if code not in CODES:
        # The first digit of a code is its area, such as EV1 for events against schemas.
        similar = [candidate for candidate in CODES if candidate[:3] == code[:3]] or list(CODES)
        raise UsageError(f"there is no finding code {code}; similar codes are {', '.join(similar)}")
    with session.open_report(Subject("explain", "codes", CodeReport)) as report:
        report.add_record({"code": code, "meaning": CODES[code]} | EXAMPLES[code]._asdict())
        report.end({})
    return EXIT_OK
