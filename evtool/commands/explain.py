"""evtool explain: why routes do or do not take an event, condition by condition, the nearest first."""

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from evtool import explain as explaining
from evtool import project as projects
from evtool import routes as all_routes
from evtool.anatomy import opened
from evtool.completion import samples
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from evtool.event import Event
from evtool.explain import Explanation
from evtool.finding import CODES
from evtool.frames import show
from evtool.misses import shown
from evtool.options import Argument, MaxBytes, OfRoute, Option, Source, Type
from evtool.pattern import EQUALS, Pattern
from evtool.project import Project
from evtool.reading import MAX_BYTES, read
from evtool.report import Record, Subject
from evtool.samples import paths_of
from evtool.screen import Screen, Segment, counted, errors
from evtool.selection import named_pattern
from evtool.session import Session, stamp, standard_input
from evtool.setting import with_changes
from evtool.validation import Rules, Verdict, judge

CODE = re.compile(r"EV\d{3}", re.IGNORECASE)
IN_FULL = 3  # routes that are shown condition by condition
VALUES = 3  # of a field that are shown
MARGIN = 44  # columns that paths may take


class Candidate(NamedTuple):
    """A pattern that is explained: that of a route, or one that stands in no file."""

    pattern: Pattern
    route: str | None = None
    enabled: bool = True
    project: Project | None = None

    def place(self, *keys: str | int) -> dict[str, Any]:
        """Line and column in routes.yaml of the route, or of a part of its pattern."""
        if self.project is None:
            return {"line": None, "column": None}
        path = ("routes", str(self.route), *(("pattern", *keys) if keys else ()))
        line, column = self.project.document.place(path, key=not keys)
        return {"line": line, "column": column}


def explain(
    session: Session,
    event: Annotated[str, Argument("EVENT", "a file, -, the name of a sample, or the code of a finding", samples)],
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

    Says the smallest change that would make a route match. With the code of a finding, such as EV104, it says what that
    means. Exit code 0 if a route matches, 1 if none does.

    Example: evtool explain cart-abandoned --set detail.cartTotal=12
    """
    if CODE.fullmatch(event) and not Path(event).exists():
        return _code(session, event.upper())
    if route is not None and pattern is not None:
        raise UsageError("give --route or --pattern, not both")
    project = session.project() if pattern is None else _project(session, event)
    candidates = _routes(project, route) if pattern is None else [Candidate(named_pattern(pattern))]
    paths = paths_of([event], project) if project else [event]
    now = stamp()
    pieces = read(paths, max_bytes=max_bytes, stdin=standard_input())
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
    return None if event == "-" or Path(event).exists() else projects.read(session.routes)


def _routes(project: Project | None, name: str | None) -> list[Candidate]:
    assert project is not None
    routes = all_routes.of_project(project)
    routes = routes.only(name) if name is not None else routes
    return [Candidate(each.pattern, each.name, each.enabled, project) for each in routes.routes.values()]


def _tell(session: Session, verdict: Verdict, candidates: list[Candidate], *, chosen: bool) -> int:
    """Tells about every candidate, the nearest first, or what is wrong with the event."""
    event = verdict.event
    for finding in verdict.findings:
        show(Screen(errors(), color=session.color), finding)
    explained: list[tuple[Candidate, Explanation]] = []
    if event is not None:
        anatomy = opened(event.raw)
        explained = [(each, explaining.explain(each.pattern, anatomy)) for each in candidates]
        explained.sort(key=lambda pair: pair[1].distance)
    subject = Subject("explain", "routes", lambda screen: _Text(screen, session, event, places=chosen))
    with session.report(subject) as report:
        for candidate, explanation in explained:
            report.add(_record(candidate, explanation))
        report.end(
            {
                "event": {"id": event.id, "type": event.type, "source": event.source} if event else None,
                "findings": [finding.as_dict() for finding in verdict.findings],
            }
        )
    if event is None:
        return EXIT_USAGE if verdict.unread else EXIT_FINDINGS
    return EXIT_OK if any(explanation.matches for _, explanation in explained) else EXIT_FINDINGS


def _record(candidate: Candidate, explanation: Explanation) -> dict[str, Any]:
    """What became of a pattern, as machines read it."""
    several = explanation.branches > 1
    return {
        "route": candidate.route,
        "enabled": candidate.enabled,
        "file": candidate.project.shown if candidate.project else None,
        **candidate.place(),
        "matches": explanation.matches,
        "branch": {"number": explanation.branch, "of": explanation.branches} if several else None,
        "conditions": [
            {
                "path": tried.path,
                "operator": tried.operator,
                "expected": tried.expected,
                "wanted": tried.wanted,
                "actual": tried.actual,
                "ok": tried.ok,
                "reason": tried.reason,
                **candidate.place(*tried.keys),
            }
            for tried in explanation.conditions
        ],
        "change": None
        if explanation.changes is None
        else [{**change.as_dict(), "words": change.words} for change in explanation.changes],
    }


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
        self._screen.line(*_headline(record, named=not in_full))
        if in_full:
            self._conditions(record)

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002  (the contract of all reports)
        if self._session.quiet or self._told < 2:
            return
        more = "; -v shows every condition" if self._told > IN_FULL and not self._session.verbose else ""
        match = "matches" if self._matching == 1 else "match"
        self._screen.line("")
        self._screen.line(f"{self._matching or 'none'} of {counted(self._told, 'route')} {match}{more}")

    def _conditions(self, record: Mapping[str, Any]) -> None:
        conditions = sorted(record["conditions"], key=lambda each: not each["ok"])
        width = min(MARGIN, max(len(each["path"]) for each in conditions))
        for each in conditions:
            said = _values(each["actual"]) if each["ok"] else each["reason"]
            plain = each["wanted"] in said or (each["ok"] and each["operator"] == EQUALS)
            mark = ("  ok    ", "green") if each["ok"] else ("  FAIL  ", "bold red")
            wanted = "" if plain else f"  (wanted: {each['wanted']})"
            place = f"  {_place({**record, **each})}" if self._places and not each["ok"] else ""
            self._screen.line(mark, f"{each['path']:<{width}}  {said}", (wanted + place, "dim"))
        if record["change"]:
            changes = ", ".join(each["words"] for each in record["change"])
            self._screen.line("  ", ("change", "cyan"), f": {changes}")


def _headline(record: Mapping[str, Any], *, named: bool) -> list[Segment]:
    """What became of a pattern in a line; `named` has it name the conditions that fail."""
    failed = [each["path"] for each in record["conditions"] if not each["ok"]]
    name = record["route"] or "the pattern"
    said: list[Segment] = [(name, "bold")]
    if record["matches"]:
        said.append(("  matches", "green"))
    else:
        total = counted(len(record["conditions"]), "condition")
        verb = "fails" if len(failed) == 1 else "fail"
        said.append((f"  does not match: {len(failed)} of {total} {verb}", "red"))
    if named and failed:
        said.append(f": {', '.join(failed)}")
    if not record["enabled"]:
        said.append(("  disabled: it takes nothing", "yellow"))
    if record["branch"]:
        nearest = "" if record["matches"] else "nearest: "
        said.append(f"  ({nearest}branch {record['branch']['number']} of {record['branch']['of']} of its $or)")
    return [*said, (f"  {_place(record)}", "dim")] if record["file"] else said


def _place(record: Mapping[str, Any]) -> str:
    return f"{record['file']}:{record['line']}:{record['column']}"


def _values(values: list[Any]) -> str:
    """What a field has: its first values, or that it has none."""
    more = f" and {len(values) - VALUES:,} more" if len(values) > VALUES else ""
    return (", ".join(shown(value) for value in values[:VALUES]) or "is not there") + more


# --- codes -----------------------------------------------------------------------------------------------------------


def _code(session: Session, code: str) -> int:
    """Tells what the code of a finding means."""
    if code not in CODES:
        near = [known for known in CODES if known[:3] == code[:3]] or list(CODES)
        raise UsageError(f"there is no finding {code}; there are {', '.join(near)}")
    with session.report(Subject("explain", "codes", _Codes)) as report:
        report.add({"code": code, "meaning": CODES[code]})
        report.end({})
    return EXIT_OK


class _Codes:
    """The text report of what codes mean."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        self._screen.line((record["code"], "bold"), f"  {record['meaning']}")

    def end(self, tail: Mapping[str, Any]) -> None:
        """There is no more to say."""
