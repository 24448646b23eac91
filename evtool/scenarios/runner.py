"""Runs a scenario: its own store, a clock that jumps to the next due time, mocks, and what resulted."""

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
from evtool.store.store import Store

OWNER = "scenario"  # of the leases in the store of a scenario
MAX_CALLS = 20_000  # of the handlers in one scenario; what needs more is taken for endless


class ScenarioResult(NamedTuple):
    """What a scenario showed. It passed if there are no failures; `warnings` do not count."""

    scenario: Scenario
    failures: tuple[Failure, ...]
    covered: Covered
    warnings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it passed."""
        return not self.failures


class _Clock:
    """A clock that moves only when it is set: it jumps over all times at which nothing happens."""

    def __init__(self) -> None:
        self.now: int = to_milliseconds(START)

    def jump(self, store: Store, seconds: float) -> bool:  # noqa: ARG002  (when the loop would look again)
        """Moves to the time at which the next delivery is due. False if none is."""
        due = min((lane.due for lane in find_lanes(store, run_start=FOREVER)), default=None)
        if due is None:
            return False
        self.now = max(self.now, due)
        return True


class _Middle(Random):
    """Randomness without chance: the middle of the range, in whatever order it is asked for."""

    def random(self) -> float:
        return 0.5


def run_scenario(
    scenario: Scenario,
    project: Project,
    routes: Routes,
    rules: Rules,
    is_stopped: Callable[[], bool] = lambda: False,
) -> ScenarioResult:
    """Runs a scenario. Ends early, with an arbitrary result, when `is_stopped` says so."""
    record, clock, handlers = CallRecord(), _Clock(), routes.handlers
    routes = _deliver_to_mocks(routes, scenario.mocks)
    lost: list[str] = []
    environment = Environment(lambda: clock.now, _Middle(), OWNER, rules, lost.append)
    with _open_runtime(routes, environment, lambda entry: open_handler(entry, scenario.mocks, record)) as runtime:
        failures = list(_accept_given(scenario, runtime))
        failures += _deliver(runtime, clock, record, is_stopped)
        effects = _read_effects(runtime, record)
    failures += [Failure("emitted events", "emitted during the call", problem, None) for problem in lost]
    failures += compare(scenario.model, effects, routes)
    covered = find_covered([(event.raw, event.bus, event.type) for event in effects.events], routes, record.called)
    return ScenarioResult(scenario, tuple(failures), covered, tuple(_find_undeclared(project, handlers, record)))


def _deliver_to_mocks(routes: Routes, mocks: Collection[str]) -> Routes:
    """The routes with deliveries to external handlers that are mocked; nothing is delivered to the others."""
    mocked = {name for name in mocks if routes.handlers[name].is_external}
    if not mocked:
        return routes
    handlers = {
        name: entry._replace(kind="mock") if name in mocked else entry for name, entry in routes.handlers.items()
    }
    return Routes(list(routes.routes.values()), handlers)


@contextmanager
def _open_runtime(
    routes: Routes, environment: Environment, open_one: Callable[[HandlerEntry], Handler]
) -> Iterator[Runtime]:
    with (
        TemporaryDirectory(prefix="evtool-scenario-", ignore_cleanup_errors=True) as folder,
        Store(Path(folder) / "store.db", durable=False) as store,  # it does not outlive the scenario
    ):
        handlers = HandlerPool(routes, open_handler=open_one)
        with handlers:
            yield Runtime(store, routes, handlers, environment)
        report_lost_emits(handlers.take_lost(), store, environment)


def _accept_given(scenario: Scenario, runtime: Runtime) -> Iterator[Failure]:
    """Stores the given events. One that `publish` would refuse is a failure of the scenario."""
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


def _deliver(runtime: Runtime, clock: _Clock, record: CallRecord, is_stopped: Callable[[], bool]) -> Iterator[Failure]:
    """Delivers until nothing is due at any time. One handler at a time, so that every run is the same."""
    idle = partial(clock.jump, runtime.store)
    with closing(
        deliver(runtime, workers=1, idle=lambda seconds: not is_stopped() and idle(seconds), grace=0)
    ) as settlements:
        for _ in settlements:
            if is_stopped():
                return
            if record.calls.total() > MAX_CALLS:
                yield Failure("deliveries", f"at most {MAX_CALLS:,} calls", "more calls", "the scenario was ended")
                break
    for handler, failure in record.load_failures.items():
        yield Failure(f"handler {handler}", "can be loaded", f"{failure.code} {failure.reason}", None)


def _read_effects(runtime: Runtime, record: CallRecord) -> Effects:
    store = runtime.store
    events = list(store.read_events())
    deliveries = [delivery for event in events for delivery in store.list_deliveries(event.seq)]
    matched = {
        event.seq: tuple(route.name for route in runtime.routes.match_checked(event.raw, event.bus or DEFAULT_BUS))
        for event in events
    }
    return Effects(events, deliveries, matched, record.attempts)


def _find_undeclared(project: Project, handlers: Mapping[str, HandlerEntry], record: CallRecord) -> Iterator[Finding]:
    """A warning for each type that a handler emitted and that its `emits` does not declare, if it has one."""
    for handler, event_type in sorted(record.emitted):
        options = handlers[handler].options
        if "emits" in options.model_fields_set and event_type not in options.emits:
            path = ("handlers", handler, "emits")
            message = f"handler {handler} emitted {event_type}, which its `emits` does not declare"
            location = project.locate(path, key=True)
            hint = f"add {event_type} to `emits`"
            yield Finding("EV505", message, "warning", event_type=event_type, suggestion=hint, **location)
