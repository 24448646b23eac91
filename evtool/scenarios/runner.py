"""Runs a scenario in an own store, with mocks and a clock that jumps to the next due time, and compares what resulted.

The clock makes retries and delays take no time. A handler that fails twice, with retries after 1 s and 2 s:

    00:00:00  attempt 1 fails; the next one is due at 00:00:01, so the clock is set to that time
    00:00:01  attempt 2 fails; the next one is due at 00:00:03, so the clock is set to that time
    00:00:03  attempt 3 is done; nothing is due any more: the scenario ends
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from evtool.delivery.intake import accept, describe_conflict
from evtool.delivery.lanes import FOREVER
from evtool.delivery.loop import deliver
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment, Runtime
from evtool.delivery.settlement import report_lost_emits
from evtool.events.buses import DEFAULT_BUS
from evtool.events.timestamps import to_milliseconds
from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location
from evtool.handlers.base import Handler
from evtool.routes.project import Project
from evtool.routes.routes import HandlerEntry, Routes
from evtool.scenarios.coverage import Covered, find_covered
from evtool.scenarios.expectations import Effects, Failure, compare
from evtool.scenarios.given import START
from evtool.scenarios.loading import Scenario
from evtool.scenarios.mocks import CallRecord, open_handler
from evtool.schemas.validation import Rules
from evtool.store.queue import find_lanes
from evtool.store.rows import Delivery
from evtool.store.store import Store

# The owner of the leases in the store of a scenario.
OWNER = "scenario"
# Calls of handlers in one scenario. More of them mean that handlers emit events for each other without end.
MAX_CALLS = 20_000


class ScenarioResult(NamedTuple):
    """The result of a scenario. It passed if it has no failures; `warnings` do not count."""

    scenario: Scenario
    failures: tuple[Failure, ...]
    covered: Covered
    warnings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the scenario passed."""
        return not self.failures


class _Clock:
    """A clock that moves only when it is set: it jumps over all times at which nothing happens."""

    def __init__(self) -> None:
        self.now: int = to_milliseconds(START)

    def read(self) -> int:
        """Returns the time in milliseconds since 1970."""
        return self.now

    def jump(self, store: Store) -> bool:
        """Moves to the time at which the next delivery is due. Returns False if no delivery is due at any time."""
        due = min((lane.due for lane in find_lanes(store, run_start=FOREVER)), default=None)
        if due is None:
            return False
        self.now = max(self.now, due)
        return True


class _Middle(Random):
    """A random generator that always returns the middle of the range.

    A seed would not be enough: the numbers would depend on the order in which they are asked for.
    """

    def random(self) -> float:
        return 0.5


def run_scenario(
    scenario: Scenario,
    project: Project,
    routes: Routes,
    rules: Rules,
    is_stopped: Callable[[], bool] | None = None,
) -> ScenarioResult:
    """Runs a scenario. Ends early, with an arbitrary result, when `is_stopped` returns True."""
    record, clock, handlers = CallRecord(), _Clock(), routes.handlers
    routes = _deliver_to_mocks(routes, scenario.mocks)
    lost: list[str] = []
    environment = Environment(clock.read, _Middle(), OWNER, rules, lost.append)
    open_one = partial(open_handler, mocks=scenario.mocks, record=record)
    with _open_runtime(routes, environment, open_one) as runtime:
        failures = list(_accept_given(scenario, runtime))
        failures += _deliver(runtime, clock, record, is_stopped)
        effects = _read_effects(runtime, record)
    # Closing the handlers may find more events that came too late, so `lost` is read after that.
    for problem in lost:
        failures.append(Failure("emitted events", "emitted during the call", problem, None))
    failures += compare(scenario.model, effects, routes)
    covered = find_covered([(event.raw, event.bus, event.type) for event in effects.events], routes, record.called)
    return ScenarioResult(scenario, tuple(failures), covered, tuple(_find_undeclared(project, handlers, record)))


def _deliver_to_mocks(routes: Routes, mocks: Collection[str]) -> Routes:
    """Returns the routes with deliveries to those external handlers that are mocked.

    Otherwise evtool makes no delivery to an external handler, such as a queue that a template names as target.
    """
    mocked = [name for name in mocks if routes.handlers[name].is_external]
    if not mocked:
        return routes
    handlers = dict(routes.handlers)
    for name in mocked:
        handlers[name] = handlers[name]._replace(kind="mock")
    return Routes(list(routes.routes.values()), handlers)


@contextmanager
def _open_runtime(
    routes: Routes, environment: Environment, open_one: Callable[[HandlerEntry], Handler]
) -> Iterator[Runtime]:
    with (
        TemporaryDirectory(prefix="evtool-scenario-", ignore_cleanup_errors=True) as folder,
        # The store does not outlive the scenario, so nothing has to be written through to the disk.
        Store(Path(folder) / "store.db", durable=False) as store,
    ):
        handlers = HandlerPool(routes, open_handler=open_one)
        with handlers:
            yield Runtime(store, routes, handlers, environment)
        report_lost_emits(handlers.take_lost(), store, environment)


def _accept_given(scenario: Scenario, runtime: Runtime) -> Iterator[Failure]:
    """Stores the given events. An event that `publish` would refuse is a failure of the scenario."""
    for number, event in scenario.given:
        findings = [finding for finding in runtime.environment.rules.check(event) if finding.severity == "error"]
        if not findings:
            stored = accept(event, store=runtime.store, routes=runtime.routes, now=runtime.environment.now)
            if stored.status == "conflict":
                findings = [describe_conflict(event, stored, runtime.store.get_event(stored.seq).raw)]
        for finding in findings:
            location = None
            if finding.file:
                location = format_location(finding.file, finding.line, finding.column)
            problem = f"{finding.code} {finding.message}"
            yield Failure(f"given[{number}]", "a valid event", problem, location, ("given", number))


def _deliver(
    runtime: Runtime, clock: _Clock, record: CallRecord, is_stopped: Callable[[], bool] | None
) -> Iterator[Failure]:
    """Delivers until no delivery is due at any time. Yields a failure for each handler that cannot be loaded."""

    def jump(seconds: float) -> bool:  # noqa: ARG001  (the loop passes the time until it would look again)
        return not (is_stopped and is_stopped()) and clock.jump(runtime.store)

    # One handler is called at a time, so that every run makes the same calls in the same order.
    with closing(deliver(runtime, workers=1, idle=jump, grace=0)) as settlements:
        for _ in settlements:
            if is_stopped and is_stopped():
                return
            if record.calls.total() > MAX_CALLS:
                yield Failure("deliveries", f"at most {MAX_CALLS:,} calls", "more calls", "the scenario was ended")
                break
    for handler, failure in record.load_failures.items():
        yield Failure(f"handler {handler}", "can be loaded", f"{failure.code} {failure.reason}", None)


def _read_effects(runtime: Runtime, record: CallRecord) -> Effects:
    events = list(runtime.store.read_events())
    deliveries: list[Delivery] = []
    matched: dict[int, tuple[str, ...]] = {}
    for event in events:
        deliveries += runtime.store.list_deliveries(event.seq)
        routes = runtime.routes.match_checked(event.raw, event.bus or DEFAULT_BUS)
        matched[event.seq] = tuple(route.name for route in routes)
    return Effects(events, deliveries, matched, record.attempts)


def _find_undeclared(project: Project, handlers: Mapping[str, HandlerEntry], record: CallRecord) -> Iterator[Finding]:
    """Yields a warning for each type that a handler emitted and that its `emits` does not declare."""
    for handler, event_type in sorted(record.emitted):
        options = handlers[handler].options
        # Without `emits` a handler declares nothing, so nothing can be missing from it.
        if "emits" in options.model_fields_set and event_type not in options.emits:
            path = ("handlers", handler, "emits")
            message = f"handler {handler} emitted {event_type}, which its `emits` does not declare"
            location = project.locate(path, key=True)
            hint = f"add {event_type} to `emits`"
            yield Finding("EV505", message, "warning", event_type=event_type, suggestion=hint, **location)
