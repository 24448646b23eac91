"""Compares two versions of the routes over the events of a replay: `evtool replay --against BASE`."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from evtool.cli.runtime import UndecidedNotes
from evtool.cli.session import Session
from evtool.delivery.replays.selection import SelectedEvent
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.findings.spelling import did_you_mean
from evtool.patterns.pattern import Pattern
from evtool.reports.base import Report, Subject
from evtool.reports.replay_changes import ChangesReport, ChangeSums, build_change
from evtool.routes.comparison.base import RouteTable
from evtool.routes.comparison.boundaries import generate_boundary_events
from evtool.routes.comparison.causes import CauseFinder, Direction
from evtool.routes.comparison.comparison import Delivery, RouteComparison
from evtool.signals import catch_signals
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen

FailOn = Literal["lost", "gained", "any"]


class Comparison(NamedTuple):
    """Both versions of the routes, and the options of the comparison."""

    current: RouteTable
    base: RouteTable
    base_name: str
    route: str | None = None
    limit: int | None = None
    fail_on: FailOn | None = None

    def includes(self, delivery: Delivery) -> bool:
        """Whether the option `--route` selects a delivery."""
        return self.route in (None, delivery.route.name)

    def rate(self, direction: Direction) -> str:
        """Returns the severity of a change: an error if it makes the exit code 1."""
        if self.fail_on in (direction, "any"):
            return "error"
        return "warning"

    def generate(self, count: int) -> Iterator[SelectedEvent]:
        """Yields events at the boundaries of the patterns of both versions: just inside and just outside of a match."""
        for event in generate_boundary_events([self.current.routes, self.base.routes], count):
            yield SelectedEvent(event.raw, event.bus, None, None)


def check_options(
    against: str | None,
    *,
    deliver: bool,
    name: str | None,
    generate: int | None,
    fail_on: FailOn | None,
    has_files: bool,
) -> None:
    """Raises UsageError for options that contradict each other."""
    if against is None and (generate is not None or fail_on is not None):
        raise UsageError("--generate and --fail-on belong to a comparison: give --against FILE or --against git:REV")
    if against is not None and (deliver or name is not None):
        raise UsageError("--against compares and calls no handler: leave out --deliver and --name")
    if generate is not None and has_files:
        raise UsageError("the events come either from --from or from --generate: leave one of them out")


def run_comparison(
    session: Session, comparison: Comparison, events: Iterable[SelectedEvent], pattern: Pattern | None = None
) -> int:
    """Reports each delivery that only one version makes. Returns 1 if `--fail-on` forbids one of them, else 0.

    With a pattern only the events that match it are compared.
    """
    _check_route(comparison)
    if pattern is not None:
        events = (event for event in events if pattern.matches(event.raw))
    sums = ChangeSums(comparison.includes)
    interrupts: list[KeyboardInterrupt] = []

    def build_text_report(screen: Screen) -> ChangesReport:
        return ChangesReport(screen, sums, comparison.base_name, verbose=session.verbose > 0, quiet=session.quiet)

    with session.open_report(Subject("replay", "changes", build_text_report)) as report:
        with catch_signals(interrupts):
            _compare_events(session, comparison, events, sums, report)
        report.end(sums.build_tail())
    if interrupts:
        raise interrupts[0]
    failures = {"lost": sums.lost, "gained": sums.gained, "any": sums.lost + sums.gained}
    if comparison.fail_on and failures[comparison.fail_on]:
        return EXIT_FINDINGS
    return EXIT_OK


def _compare_events(
    session: Session, comparison: Comparison, events: Iterable[SelectedEvent], sums: ChangeSums, report: Report
) -> None:
    current, base = comparison.current, comparison.base
    open_routes = (current.list_open_routes(base), base.list_open_routes(current))
    routes = RouteComparison(current.routes, base.routes, open_routes)
    causes = CauseFinder(current, base)
    undecided = UndecidedNotes(session, current.routes)

    def report_changes(direction: Direction, deliveries: Iterable[Delivery], event: SelectedEvent) -> None:
        for delivery in deliveries:
            if comparison.includes(delivery):
                cause = causes.find(direction, delivery, event.raw, event.bus)
                change = build_change(direction, delivery, event.raw, cause)
                sums.add(change)
                report.add_record(change.as_record(comparison.rate(direction)))

    for event in Progress("comparing", "event", quiet=session.quiet).track(events):
        difference = routes.compare(event.raw, event.bus)
        undecided.add([(event.raw, event.bus)])
        sums.count(difference)
        report_changes("lost", difference.lost, event)
        report_changes("gained", difference.gained, event)
        # --limit counts compared events, so that the same limit always compares the same events.
        if comparison.limit is not None and sums.events >= comparison.limit:
            break


def _check_route(comparison: Comparison) -> None:
    """Raises UsageError if neither version has the route of --route."""
    names = {**comparison.current.routes.routes, **comparison.base.routes.routes}
    if comparison.route is not None and comparison.route not in names:
        hint = did_you_mean(comparison.route, names) or f"the routes are {', '.join(names) or 'none'}"
        raise UsageError(f"there is no route {comparison.route}; {hint}")
