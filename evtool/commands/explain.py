"""evtool explain: why routes do or do not take an event, condition by condition, the nearest first."""

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from evtool.cli.completion import samples
from evtool.cli.filters import named_pattern, stored_event
from evtool.cli.options import Argument, MaxBytes, OfRoute, Option, Source, Type
from evtool.cli.sample_names import path_of, paths_of
from evtool.cli.session import Session, stamp, standard_input
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from evtool.events.event import Event
from evtool.events.overrides import with_changes
from evtool.findings.codes import CODES
from evtool.findings.examples import EXAMPLES, SCHEMA
from evtool.paths import display
from evtool.readers.files import MAX_BYTES, Piece, read
from evtool.reports.base import Record, Subject
from evtool.reports.explanations import (
    IN_FULL,
    Candidate,
    candidates_of,
    explained,
    headline,
    record_of,
    tell_conditions,
)
from evtool.routes import project as projects
from evtool.routes import routes as all_routes
from evtool.routes.project import Project
from evtool.schemas.validation import Rules, Verdict, judge
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.screen import Screen, counted, errors
from evtool.terminal.snippets import show

WANTED = "no file, no sample and no stored event"
CODE = re.compile(r"EV\d{3}", re.IGNORECASE)


def explain(
    session: Session,
    event: Annotated[
        str, Argument("EVENT", "a file, -, a sample, the id of a stored event, or the code of a finding", samples)
    ],
    *,
    set: Annotated[list[str], Option("--set", "set a field first, such as detail.total=5", "PATH=VALUE")] = [],  # noqa: A002, B006
    type: Type = None,  # noqa: A002
    source: Source = None,
    route: OfRoute = None,
    pattern: Annotated[
        str | None, Option("--pattern", "try this event pattern instead of the routes", "JSON|@FILE")
    ] = None,
    max_bytes: MaxBytes = MAX_BYTES,
) -> int:
    """Explain why routes do or do not match an event: every condition, what was found, and the nearest route first.

    Says the smallest change that would make a route match. A file or a sample goes before a stored event of the same
    name. With the code of a finding, such as EV104, it says what that means. Exit code 0 if a route matches, 1 if none
    does.

    Example: evtool explain cart-abandoned --set detail.cartTotal=12
    """
    if CODE.fullmatch(event) and not Path(event).exists():
        return _code(session, event.upper())
    if route is not None and pattern is not None:
        raise UsageError("give --route or --pattern, not both")
    project = session.project() if pattern is None else _project(session, event)
    candidates = _routes(project, route) if pattern is None else [Candidate(named_pattern(pattern))]
    now = stamp()
    stored = _stored(session, project, event, source) if project and path_of(event, project) is None else []
    paths = paths_of([event], project, wanted=WANTED) if project and not stored else [event]
    pieces = stored or read(paths, max_bytes=max_bytes, stdin=standard_input())
    judged = judge(
        pieces, Rules(None), now, type=type, source=source, change=lambda found: with_changes(found, set, now)
    )
    verdicts = list(islice(judged, 2))
    if len(verdicts) != 1:
        raise UsageError(f"{event} holds {'several events' if verdicts else 'no event'}; explain takes one")
    return _tell(session, verdicts[0], candidates, chosen=route is not None)


# --- what is explained -----------------------------------------------------------------------------------------------


def _project(session: Session, event: str) -> Project | None:
    """The project that may have a sample of this name; a pattern and a file need none."""
    return None if event == "-" or Path(event).exists() else projects.read_project(session.routes)


def _stored(session: Session, project: Project, wanted: str, source: str | None) -> list[Piece]:
    """The stored event of an id, if there is one: what is neither a file nor a sample may be an id."""
    file = session.store_file(project)
    if is_missing(file):
        return []
    with Store(session.store_file(project, existing=True)) as store:
        found = stored_event(store, wanted, source)
    return [Piece(display(file), 1, 1, found.raw)] if found else []


def _routes(project: Project | None, name: str | None) -> list[Candidate]:
    assert project is not None
    routes = all_routes.load_routes(project)
    return candidates_of(routes.restrict_to(name) if name is not None else routes, project)


def _tell(session: Session, verdict: Verdict, candidates: list[Candidate], *, chosen: bool) -> int:
    """Tells about every candidate, the nearest first, or what is wrong with the event."""
    event = verdict.event
    for finding in verdict.findings:
        show(Screen(errors(), color=session.color), finding)
    found = explained(event.raw, candidates) if event is not None else []
    subject = Subject("explain", "routes", lambda screen: _Text(screen, session, event, places=chosen))
    with session.report(subject) as report:
        for candidate, explanation in found:
            report.add(record_of(candidate, explanation))
        report.end(
            {
                "event": {"id": event.id, "type": event.type, "source": event.source} if event else None,
                "findings": [finding.as_dict() for finding in verdict.findings],
            }
        )
    if event is None:
        return EXIT_USAGE if verdict.unread else EXIT_FINDINGS
    return EXIT_OK if any(explanation.matches for _, explanation in found) else EXIT_FINDINGS


class _Text:
    """The text report: the nearest routes condition by condition, a line for each of the others."""

    def __init__(self, screen: Screen, session: Session, event: Event | None, *, places: bool):
        self._screen, self._session, self._event, self._places = screen, session, event, places
        self._told = self._matching = 0

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        if not self._told and self._event is not None:
            event = self._event
            self._screen.line((event.type, "bold"), "  ", (event.id, "dim"), "  ", (event.source, "dim"))
        in_full = self._told < IN_FULL or self._session.verbose > 0
        if in_full or self._told == IN_FULL:
            self._screen.line("")
        self._told += 1
        self._matching += record["matches"]
        self._screen.line(*headline(record, named=not in_full))
        if in_full:
            tell_conditions(self._screen, record, places=self._places)

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002  (the contract of all reports)
        if self._session.quiet or self._told < 2:
            return
        more = "; -v shows every condition" if self._told > IN_FULL and not self._session.verbose else ""
        match = "matches" if self._matching == 1 else "match"
        self._screen.line("")
        self._screen.line(f"{self._matching or 'none'} of {counted(self._told, 'route')} {match}{more}")


# --- codes -----------------------------------------------------------------------------------------------------------


def _code(session: Session, code: str) -> int:
    """Tells what the code of a finding means."""
    if code not in CODES:
        near = [known for known in CODES if known[:3] == code[:3]] or list(CODES)
        raise UsageError(f"there is no finding {code}; there are {', '.join(near)}")
    with session.report(Subject("explain", "codes", _Codes)) as report:
        report.add({"code": code, "meaning": CODES[code], **EXAMPLES[code]._asdict()})
        report.end({})
    return EXIT_OK


class _Codes:
    """The text report of what codes mean."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        self._screen.line((record["code"], "bold"), f"  {record['meaning']}")
        what = "" if record["of"] == "words" else f" {record['of']}"
        parts = [("bad" + what, "red", record["bad"]), ("good" + what, "green", record["good"])]
        if record["code"].startswith("EV1"):
            parts.append(("the schema of the detail", "cyan", SCHEMA))
        for title, style, text in parts:
            self._screen.line("  ", (title, style))
            for line in text.rstrip("\n").split("\n"):
                self._screen.line("    ", line)

    def end(self, tail: Mapping[str, Any]) -> None:
        """There is no more to say."""
