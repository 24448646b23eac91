"""The command `evtool generate`: generates valid events of a type, or events that a route matches or just misses."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from evtool.checks.loading import read_samples
from evtool.cli.completion import complete_routes, complete_types
from evtool.cli.options import Argument, Option
from evtool.cli.runtime import build_rules, load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.findings.spelling import did_you_mean
from evtool.reports.base import Report, Subject, dump_json
from evtool.routes.project import Project
from evtool.schemas.algebra.events import generate_event, generate_matching_event, generate_near_miss
from evtool.schemas.algebra.matched_types import EventType, list_known_types, list_sources
from evtool.schemas.validator import Schemas
from evtool.terminal.screen import Screen


def generate(
    session: Session,
    type: Annotated[str | None, Argument("[TYPE]", "a type that has a schema", complete_types)] = None,  # noqa: A002
    *,
    for_route: Annotated[
        str | None, Option("--for-route", "events that this route matches", "ROUTE", complete_routes)
    ] = None,
    near_miss: Annotated[bool, Option("--near-miss", "events that fail exactly one condition of the route")] = False,
    source: Annotated[str | None, Option("--source", "source of the events of TYPE", "SOURCE")] = None,
    count: Annotated[int, Option("-n --count", "number of events", "N", least=1)] = 1,
    seed: Annotated[int, Option("--seed", "a different seed gives different events", "S", least=0)] = 0,
) -> int:
    """Generate valid events of a type, or events that a route matches or just misses.

    Prints one event per line, with its envelope. The same seed gives the same events. If no such event exists, it
    prints the reason, with exit code 1.

    Example: evtool generate order.created -n 3 --seed 7
    """
    project = session.load_project()
    schemas = build_rules(project).schemas
    if (type is None) == (for_route is None):
        raise UsageError("name a type, or a route with --for-route")
    if near_miss and for_route is None:
        raise UsageError("--near-miss needs a route: name one with --for-route")
    if source is not None and type is None:
        raise UsageError("--source belongs to TYPE: the pattern of a route decides which sources it matches")
    # The samples show which source a type has, and which envelope.
    known = list_known_types(schemas, read_samples(project.samples)[0])
    if type is not None:
        events = _generate_for_type(schemas, known, type, source, seed, count)
    else:
        events = _generate_for_route(session, project, schemas, known, str(for_route), seed, count, near_miss=near_miss)
    generated = 0
    with session.open_report(Subject("generate", "events", _EventLines)) as report:
        for event in events:
            report.add_record(event)
            generated += 1
        report.end({"summary": {"events": generated}})
    return EXIT_OK


def _generate_for_type(
    schemas: Schemas | None, known: list[EventType], event_type: str, source: str | None, seed: int, count: int
) -> Iterator[dict[str, Any]]:
    # The names are listed without duplicates, in their order: a type may have several sources.
    names = list(dict.fromkeys(entry.type for entry in known))
    if schemas is None or event_type not in schemas.list_types():
        hint = did_you_mean(event_type, names) or f"types with a schema: {', '.join(names) or 'none'}"
        raise UsageError(f'there is no schema for the type "{event_type}"; {hint}')
    source = source or next(iter(list_sources(known, event_type)), None)
    return (generate_event(schemas, event_type, source, seed=seed + number) for number in range(count))


def _generate_for_route(
    session: Session,
    project: Project,
    schemas: Schemas | None,
    known: list[EventType],
    name: str,
    seed: int,
    count: int,
    *,
    near_miss: bool,
) -> Iterator[dict[str, Any]]:
    pattern = load_routes(session, project).restrict_to(name).routes[name].pattern
    generate_one = generate_matching_event
    if near_miss:
        generate_one = generate_near_miss
    return (generate_one(pattern, schemas, known, seed=seed + number) for number in range(count))


class _EventLines(Report):
    """The text report: the events as JSON Lines, so that other commands can read them. It has no summary."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add_record(self, record: Mapping[str, Any]) -> None:
        self._screen.print_line(dump_json(record), wrap=False)
