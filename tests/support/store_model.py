"""A model of the store and its delivery in plain Python, and a machine that compares the real ones with it.

Workers run the real `deliver`, each in a thread with an own connection. They run only when the machine lets them: from
one call of a handler to the next. So every order of claims, outcomes, crashes and lost leases is possible. After every
step the tables, as docs/store.md describes them, must agree with the model.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Thread
from typing import Any, NamedTuple

import apsw
import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from evtool.delivery.intake import accept
from evtool.delivery.loop import deliver
from evtool.delivery.pool import HandlerPool
from evtool.delivery.retry import MIN_ATTEMPTS
from evtool.delivery.runtime import Environment, Runtime
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.handlers.base import Call, Done, Emitted, Failed, Outcome, Unavailable
from evtool.patterns.pattern import Pattern
from evtool.routes.models import Retry
from evtool.routes.routes import Route, Routes
from evtool.schemas.validation import Rules
from evtool.store.dead_letters import DeadLetterFilter, purge, redrive
from evtool.store.due_times import make_due_now
from evtool.store.queue import Chains
from evtool.store.store import Store
from tests.support.fake_handlers import FakeHandler, InProcessOptions, fake_entry

# Times are in milliseconds.
START = 1_800_000_000_000
DAY = 24 * 3_600_000
# The longest pause between two attempts.
PAUSE = 15 * 60_000
# The time limit of every handler in seconds.
TIMEOUT = 10.0
# The longest chain of events, counted from its root.
DEEPEST = 10
WORKERS = 3
JUMPS = (1, 700, 3_000, 75_000, 3_600_000, DAY + 1, -1, -5_000, -75_000, -7_200_000)

# Source, type, and the `n` of the detail.
Published = tuple[str, str, int]


class Crash(BaseException):
    """Ends a process between two statements."""


# --- the project -----------------------------------------------------------------------------------------------------

POLICIES = {
    "all": Retry(max_attempts=3, max_age=60.0, first_delay=1.0, max_delay=1.5),
    "big": Retry(max_attempts=1, max_age=3600.0),
    "odd": Retry(),
}
TO = {"all": ("a", "b"), "big": ("b",), "odd": ("c",)}
PATTERNS = {
    "all": Pattern({"source": ["shop"]}),
    "big": Pattern({"detail": {"n": [{"numeric": [">", 1]}]}}),
    "odd": Pattern({"detail-type": ["odd"]}),
}
TAKES: dict[str, Callable[[Published], bool]] = {
    "all": lambda event: event[0] == "shop",
    "big": lambda event: event[2] > 1,
    "odd": lambda event: event[1] == "odd",
}
# The names of the routes in each configuration.
CONFIGURATIONS = (("all", "big", "odd"), ("all", "odd"), ("big",), ())

events = st.tuples(st.sampled_from(["shop", "else"]), st.sampled_from(["even", "odd"]), st.integers(0, 2))
unavailable, failed = Unavailable("away"), Failed("broken")
outcomes = st.one_of(
    st.sampled_from([failed, failed, unavailable, unavailable, Failed("hopeless", "timeout", final=True), Done()]),
    # `real` turns these into emitted events when the handler answers.
    st.builds(Done, st.lists(events, min_size=1, max_size=2).map(tuple)),
    # An emitted event that is not valid.
    st.just(Done((Emitted("", b"{}"),))),
)


def routes_of(names: tuple[str, ...], ask: Callable[[str, Call], Outcome]) -> Routes:
    """Builds the routes of a configuration, with handlers that ask for their outcome."""
    routes = [Route(name, PATTERNS[name], TO[name], POLICIES[name]) for name in names]
    entries = {}
    for handler in sorted({handler for name in names for handler in TO[name]}):
        options = InProcessOptions(timeout=TIMEOUT, emits=[])
        entries[handler] = fake_entry(handler, options, partial(FakeHandler, partial(ask, handler)))
    return Routes(routes, entries)


def real(outcome: Outcome, call: int) -> Outcome:
    """Returns an outcome whose emitted events have the number of the call that emitted them."""
    if not isinstance(outcome, Done):
        return outcome
    emitted = [
        e if isinstance(e, Emitted) else Emitted(e[1], json.dumps({"n": e[2], "call": call}).encode(), e[0])
        for e in outcome.emitted
    ]
    return Done(tuple(emitted))


def opened(file: Path) -> Store:
    """Opens a store that does not wait for the disk: another proof tests power cuts."""
    store = Store(file)
    store.execute("PRAGMA synchronous = OFF")
    return store


# --- workers ---------------------------------------------------------------------------------------------------------


class Report(NamedTuple):
    """A step of a worker: it calls a handler, it has `settled` a delivery, or its run ends, perhaps with an error."""

    kind: str
    handler: str = ""
    call: Call | None = None
    seq: int = 0
    error: BaseException | None = None


class Worker:
    """A process of evtool that runs until it calls its handler, or no delivery is due."""

    def __init__(self, file: Path, clock: Callable[[], int]):
        self._file, self._clock = file, clock
        self._orders: SimpleQueue[Any] = SimpleQueue()
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._store: Store | None = None
        self._fuse = -1
        self._routes = [routes_of(names, self._ask) for names in CONFIGURATIONS]
        Thread(target=self._live, daemon=True).start()

    def run(self, configuration: int, owner: str, root: int | None, seed: int) -> Iterator[Report]:
        """Starts a run. Yields the reports up to the first call."""
        self._fuse = -1
        self._orders.put((configuration, owner, root, seed))
        return self._iter_reports()

    def answer(self, outcome: Outcome | BaseException, *, fuse: int = -1) -> Iterator[Report]:
        """Continues with the outcome of the handler to the next call. The worker dies after `fuse` clock readings."""
        self._fuse = fuse
        self._orders.put(outcome)
        return self._iter_reports()

    def close(self) -> None:
        """Ends the thread."""
        self._orders.put(None)

    def _iter_reports(self) -> Iterator[Report]:
        while True:
            report = self._reports.get()
            yield report
            if report.kind != "settled":
                return

    def _ask(self, handler: str, call: Call) -> Outcome:
        self._reports.put(Report("call", handler, call))
        answer: Outcome | BaseException = self._orders.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _now(self) -> int:
        if self._fuse == 0:
            # The fuse stays at 0, so that the dead process cannot do anything later.
            raise Crash
        self._fuse -= 1
        return self._clock()

    def _live(self) -> None:
        while order := self._orders.get():
            error: BaseException | None = None
            try:
                self._deliver(*order)
            except BaseException as raised:  # noqa: BLE001  (the machine judges it)
                error = raised
                if self._store and not isinstance(raised, KeyboardInterrupt):
                    self._store.close()
                    self._store = None
            self._reports.put(Report("end", error=error))
        if self._store:
            self._store.close()

    def _deliver(self, configuration: int, owner: str, root: int | None, seed: int) -> None:
        self._store = self._store or opened(self._file)
        routes = self._routes[configuration]
        with HandlerPool(routes) as handlers:
            road = Runtime(self._store, routes, handlers, Environment(self._now, Random(seed), owner, Rules(None)))
            chains = Chains([root]) if root else None
            with closing(deliver(road, workers=1, chains=chains)) as settled:
                for each in settled:
                    self._reports.put(Report("settled", seq=each.delivery.seq))


# --- the model -------------------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """An event of the model."""

    seq: int
    raw: bytes
    root: int
    depth: int
    cause: int | None
    event: Published

    def row(self) -> tuple[Any, ...]:
        """The values of its row after its key."""
        return self.raw, self.depth, self.cause


class Sent:
    """A delivery of the model."""

    def __init__(self, kept: Kept, route: str, handler: str, now: int):
        self.kept, self.route, self.handler = kept, route, handler
        loop = kept.depth > DEEPEST
        self.state, self.condition = ("dead", "Loop") if loop else ("ready", None)
        self.due = None if loop else now
        self.created = now
        self.attempts = self.forgiven = 0
        # The run and attempt that hold the lease.
        self.holder = ""
        # The outcome of every attempt.
        self.history: dict[int, str | None] = {}

    def row(self) -> tuple[Any, ...]:
        """The values of its row."""
        fixed = (self.kept.seq, self.route, self.handler, self.created)
        return *fixed, self.state, self.attempts, self.forgiven, self.due, self.condition

    def settle(self, state: str, outcome: str, due: int | None = None, condition: str | None = None) -> None:
        """Records the outcome of an attempt."""
        self.state, self.due, self.condition, self.holder = state, due, condition, ""
        self.history[self.attempts] = outcome


class Turn:
    """A run of a worker: the deliveries that it may claim, and the call that it waits for."""

    def __init__(self, worker: Worker, names: tuple[str, ...], owner: str, root: int | None, begun: int):
        self.worker, self.names, self.owner, self.root, self.begun = worker, names, owner, root, begun
        self.called: Sent | None = None
        self.token = ""  # of the lease that the call has

    def policy(self, sent: Sent) -> Retry:
        """Returns the retry policy of a delivery, by the routes of this run."""
        return POLICIES[sent.route] if sent.route in self.names else Retry()

    def last(self, sent: Sent) -> int:
        """Returns the last attempt that is made: attempts that never ended may have ended before the call."""
        return max(self.policy(sent).max_attempts, MIN_ATTEMPTS)


def same(real: Mapping[int, Any], wanted: Mapping[int, Any]) -> None:
    """Asserts that a table agrees with the model, and shows the rows that differ."""
    different = {seq for seq in {*real, *wanted} if real.get(seq) != wanted.get(seq)}
    assert not different, "".join(f"\n{seq}: is {real.get(seq)}, not {wanted.get(seq)}" for seq in sorted(different))


class StoreMachine(RuleBasedStateMachine):
    """All steps that can happen to a store, in any order."""

    file: Path  # set by `machine_on`
    workers: list[Worker]
    time: list[int]
    whole: list[bool]  # whether the example before this one came to its end
    publisher: Store
    eye: apsw.Connection
    steps = 0

    # --- the beginning and the end ---

    @initialize()
    def empty(self) -> None:
        """Empties the store."""
        if not self.whole.pop():  # an example that failed left its workers anywhere
            self.workers[:] = [Worker(self.file, self.now) for _ in range(WORKERS)]
        self.whole.append(False)
        with self.publisher.transaction():
            self.publisher.execute("PRAGMA defer_foreign_keys = 1")
            for table in ("attempt", "delivery", "event"):
                self.publisher.execute(f"DELETE FROM {table}")
        self.time[0] = START
        self.configuration = 0
        self.kept: dict[tuple[str, str], Kept] = {}
        self.sent: dict[int, Sent] = {}
        self.turns: dict[int, Turn] = {}
        self.calls = 0
        self.last: Outcome | None = None

    def teardown(self) -> None:
        """When all handlers work again, one run finishes every delivery."""
        if sys.exc_info()[0]:
            return
        for number in list(self.turns):
            self.move(number, self.turns[number].worker.answer(Crash(), fuse=0))
        self.configuration = 0
        self.time[0] = max([self.time[0], *(sent.due for sent in self.sent.values() if sent.due)]) + 1
        self.run_through(0, Done(), limit=10_000)
        self.agrees()
        assert {sent.state for sent in self.sent.values()} <= {"done", "dead"}
        self.whole[0] = True

    # --- what can happen ---

    @rule(event=events, twin=st.booleans())
    def publish(self, event: Published, twin: bool) -> None:
        """Publishes a new event; a twin has the id of another event, from another source."""
        taken = {name for source, name in self.kept if source == event[0]}
        others = sorted(name for source, name in self.kept if source in ("shop", "else") and name not in taken)
        made = self.made(others[0] if twin and others else f"e{len(self.kept)}", event)
        kept = accept(made, store=self.publisher, routes=self.routes(), now=self.now)
        assert kept.status == "stored"
        self.keep(made.raw, self.names(), now=self.now())

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 99), changed=st.booleans())
    def publish_again(self, which: int, changed: bool) -> None:
        """Publishes a stored event: equal bytes are a duplicate, others a conflict, and neither changes the store."""
        (source, name), there = sorted(self.kept.items())[which % len(self.kept)]
        made = self.made(name, (source, "changed", 0)) if changed else parse_event(there.raw)
        kept = accept(made, store=self.publisher, routes=self.routes(), now=self.now)
        assert (kept.seq, kept.status) == (there.seq, "conflict" if changed else "duplicate")

    @precondition(lambda self: len(self.turns) < WORKERS)
    @rule(number=st.integers(0, WORKERS - 1), chain=st.none() | st.integers(0, 99))
    def begin(self, number: int, chain: int | None) -> None:
        """A worker begins a run, which may be limited to one chain of events."""
        while number in self.turns:
            number = (number + 1) % WORKERS
        roots = sorted({kept.root for kept in self.kept.values()})
        root = None if chain is None or not roots else roots[chain % len(roots)]
        self.start(number, root)

    @precondition(lambda self: self.turns)
    @rule(which=st.integers(0, WORKERS - 1), outcome=outcomes)
    def answer(self, which: int, outcome: Outcome) -> None:
        """A handler ends, perhaps long after its lease was lost."""
        number = self.busy(which)
        self.move(number, self.turns[number].worker.answer(self.real(outcome)), real_outcome=self.last)

    @precondition(lambda self: self.turns)
    @rule(which=st.integers(0, WORKERS - 1), outcome=outcomes, fuse=st.integers(0, 4))
    def crash(self, which: int, outcome: Outcome, fuse: int) -> None:
        """A worker dies: in its handler, or between two readings of the clock, also inside a transaction."""
        number = self.busy(which)
        answer = Crash() if fuse == 0 else self.real(outcome)
        self.move(number, self.turns[number].worker.answer(answer, fuse=fuse), real_outcome=self.last)

    @precondition(lambda self: self.turns)
    @rule(which=st.integers(0, WORKERS - 1))
    def interrupt(self, which: int) -> None:
        """Ctrl-C while a handler runs."""
        number = self.busy(which)
        self.move(number, self.turns[number].worker.answer(KeyboardInterrupt()))

    @precondition(lambda self: len(self.turns) < WORKERS)
    @rule(outcome=outcomes)
    def deliver(self, outcome: Outcome) -> None:
        """A run in which every handler does the same."""
        number = next(number for number in range(WORKERS) if number not in self.turns)
        self.run_through(number, outcome, limit=14)

    @rule(jump=st.sampled_from(JUMPS))
    def tick(self, jump: int) -> None:
        """Time passes, or the clock is set."""
        self.time[0] += jump

    @precondition(lambda self: any(sent.due for sent in self.sent.values()))
    @rule(which=st.integers(0, 9), old=st.booleans(), off=st.integers(-1, 1))
    def reach(self, which: int, old: bool, off: int) -> None:
        """The clock is set to the moment at which a delivery is due, a lease ends, or a delivery is too old."""
        unsettled = [sent for _, sent in sorted(self.sent.items()) if sent.due is not None]
        sent = unsettled[which % len(unsettled)]
        assert sent.due is not None
        old_at = sent.created + round(POLICIES[sent.route].max_age * 1000)
        self.time[0] = max(self.now(), (old_at if old else sent.due) + off)

    @precondition(lambda self: 0 < len(self.turns) < WORKERS)
    @rule(which=st.integers(0, WORKERS - 1), outcome=st.none() | outcomes)
    def overtake(self, which: int, outcome: Outcome | None) -> None:
        """A lease ends while the handler runs, and another worker begins; the result of the first one is too late."""
        number = self.busy(which)
        called = self.turns[number].called
        assert called
        self.time[0] = max(self.now(), called.due or 0)
        other = next(number for number in range(WORKERS) if number not in self.turns)
        self.start(other, None)
        while other in self.turns and self.turns[other].called is not called:  # what was due before it
            self.move(other, self.turns[other].worker.answer(unavailable), real_outcome=unavailable)
        if outcome:
            self.move(number, self.turns[number].worker.answer(self.real(outcome)), real_outcome=self.last)

    @precondition(lambda self: 0 < len(self.turns) < WORKERS)
    @rule()
    def turn_back(self) -> None:
        """The clock is set back by days while a handler runs, and another worker begins."""
        self.time[0] -= 3 * DAY
        self.start(next(number for number in range(WORKERS) if number not in self.turns), None)

    @rule(handler=st.sampled_from([None, "a", "b", "c"]))
    def redrive(self, handler: str | None) -> None:
        """Redrives dead letters; other deliveries do not change."""
        letters = self.letters(handler)
        redriven = redrive(self.publisher, DeadLetterFilter(handler=handler), attrgetter("seq"), now=self.now())
        assert list(redriven) == letters
        for sent in [self.sent[seq] for seq in letters]:
            sent.state, sent.condition, sent.due, sent.created = "ready", None, self.now(), self.now()
            sent.forgiven = sent.attempts

    @rule(handler=st.sampled_from([None, "a", "b", "c"]))
    def purge(self, handler: str | None) -> None:
        """Deletes dead letters, perhaps while an attempt that lost its lease is still running."""
        letters = self.letters(handler)
        assert list(purge(self.publisher, DeadLetterFilter(handler=handler), attrgetter("seq"))) == letters
        for seq in letters:
            del self.sent[seq]

    @rule(failed=st.booleans())
    def hurry(self, failed: bool) -> None:
        """Makes waiting deliveries due, and with `failed` also those that are to be tried again."""
        make_due_now(self.publisher, now=self.now(), include_failed=failed)
        for sent in self.sent.values():
            if sent.state in (("waiting", "ready") if failed else ("waiting",)) and sent.due is not None:
                sent.due = min(sent.due, self.now())

    @rule(configuration=st.integers(0, len(CONFIGURATIONS) - 1))
    def configure(self, configuration: int) -> None:
        """Changes the routes and handlers; runs that have begun keep theirs."""
        self.configuration = configuration

    # --- what must be true after every step ---

    @invariant()
    def agrees(self) -> None:
        """The tables agree with the model: no row is lost or stored twice, and all sums are right."""
        StoreMachine.steps += 1
        stored = {row[0]: row for row in self.eye.execute("SELECT seq, source, id, raw, depth, cause FROM event")}
        same(stored, {kept.seq: (kept.seq, *key, *kept.row()) for key, kept in self.kept.items()})
        rows = self.eye.execute(
            "SELECT seq, event, route, handler, created, state, attempts, forgiven, due, condition FROM delivery"
        )
        same({row[0]: row[1:] for row in rows}, {seq: sent.row() for seq, sent in self.sent.items()})
        history: dict[int, dict[int, str | None]] = {seq: {} for seq in self.sent}
        for delivery, number, outcome in self.eye.execute("SELECT delivery, number, outcome FROM attempt"):
            history[delivery][number] = outcome
        same(history, {seq: sent.history for seq, sent in self.sent.items()})
        for sent in self.sent.values():
            assert (sent.state == "dead") == (sent.condition is not None)
            assert len(sent.history) == sent.attempts
            assert list(sent.history.values()).count("done") == (sent.state == "done")

    # --- how the model moves ---

    def now(self) -> int:
        """Returns the time."""
        return self.time[0]

    def letters(self, handler: str | None) -> list[int]:
        """Selects the dead letters of a handler."""
        return sorted(seq for seq, s in self.sent.items() if s.state == "dead" and handler in (None, s.handler))

    def names(self) -> tuple[str, ...]:
        """The names of the routes in the present configuration."""
        return CONFIGURATIONS[self.configuration]

    def routes(self) -> Routes:
        """The real routes of the present configuration, for publishing; they call no handler."""
        return self.workers[0]._routes[self.configuration]

    def made(self, name: str, event: Published) -> Event:
        """Builds a real event."""
        source, kind, n = event
        detail = json.dumps({"n": n}).encode()
        return parse_event(build_envelope(detail, type=kind, source=source, id=name, time="2026-11-23T10:00:00Z"))

    def keep(self, raw: bytes, names: tuple[str, ...], *, now: int, by: Sent | None = None) -> None:
        """Adds an event with its deliveries to the model."""
        document = json.loads(raw)
        key = (document["source"], document["id"])
        event = (document["source"], document["detail-type"], document["detail"]["n"])
        [(seq,)] = self.eye.execute("SELECT seq FROM event WHERE source = ? AND id = ?", key).fetchall()
        cause = next((seq for seq, sent in self.sent.items() if sent is by), None)
        root, depth = (by.kept.root, by.kept.depth + 1) if by else (seq, 0)
        assert key not in self.kept
        kept = self.kept[key] = Kept(seq, raw, root, depth, cause, event)
        for route in [name for name in names if TAKES[name](event)]:
            for handler in TO[route]:
                wanted = (seq, route, handler)
                found = "SELECT seq FROM delivery WHERE (event, route, handler) = (?, ?, ?) AND replay = ''"
                [(number,)] = self.eye.execute(found, wanted).fetchall()
                self.sent[number] = Sent(kept, route, handler, now)

    def real(self, outcome: Outcome) -> Outcome:
        """Returns an outcome whose emitted events have the number of the call that emitted them."""
        self.calls += 1
        self.last = real(outcome, self.calls)
        return self.last

    def busy(self, which: int) -> int:
        """Chooses a worker whose handler runs."""
        return sorted(self.turns)[which % len(self.turns)]

    def start(self, number: int, root: int | None) -> None:
        """Begins a run. It first repairs the due times of all deliveries, for a clock that was set back."""
        now = self.now()
        for sent in self.sent.values() if root is None else ():
            late = 0 if sent.due is None else sent.due - now
            fresh = sent.attempts == sent.forgiven
            if (sent.state == "leased" and late > DAY) or (sent.state == "ready" and late > (0 if fresh else PAUSE)):
                sent.due = now
        self.calls += 1
        worker, owner = self.workers[number], f"run {self.calls}"
        self.turns[number] = Turn(worker, self.names(), owner, root, now)
        self.move(number, worker.run(self.configuration, owner, root, self.calls))

    def run_through(self, number: int, outcome: Outcome, *, limit: int) -> None:
        """Makes a run whose handlers all have the same outcome, up to a number of calls."""
        self.start(number, None)
        while number in self.turns and (limit := limit - 1):
            self.move(number, self.turns[number].worker.answer(self.real(outcome)), real_outcome=self.last)

    def move(self, number: int, reports: Iterator[Report], *, real_outcome: Outcome | None = None) -> None:
        """Asserts that the steps of a worker were allowed, and applies them to the model."""
        turn = self.turns[number]
        for report in reports:
            if report.kind != "settled" and turn.called and turn.called not in self.sent.values():
                turn.called = None  # deleted, so there is nothing to tell of it
            if report.kind == "end":
                del self.turns[number]
                self.ended(turn, report.error, real_outcome)
            elif report.kind == "call":
                assert report.call
                self.claimed(turn, report.handler, report.call)
            elif turn.called and self.sent[report.seq] is turn.called:
                if real_outcome:  # else it was interrupted, which the end of the run takes over
                    self.settled(turn, turn.called, real_outcome)
                    turn.called = None
            else:
                self.given_up(turn, self.sent[report.seq])

    def take(self, turn: Turn, sent: Sent) -> None:
        """Claims a delivery in the model: it must have been due, and the attempt counts."""
        assert self.is_due(turn, sent), "nobody may take this now"
        sent.attempts += 1
        sent.history[sent.attempts] = None
        sent.state, sent.holder = "leased", f"{turn.owner}, attempt {sent.attempts}"
        turn.token = sent.holder

    def is_due(self, turn: Turn, sent: Sent) -> bool:
        """Whether a run may, and must, claim a delivery."""
        if sent.due is None or sent.due > self.now() or turn.root not in (None, sent.kept.root):
            return False
        return sent.state != "waiting" or sent.due <= turn.begun

    def claimed(self, turn: Turn, handler: str, call: Call) -> None:
        """Applies a call of a handler."""
        document = json.loads(call.raw)
        kept = self.kept[document["source"], document["id"]]
        assert call.raw == kept.raw
        key = (kept.seq, call.route, handler)
        [(seq, sent)] = [(seq, s) for seq, s in self.sent.items() if (s.kept.seq, s.route, s.handler) == key]
        self.take(turn, sent)
        assert call.attempt == sent.attempts
        assert sent.attempts - sent.forgiven <= turn.last(sent)
        sent.due = self.due(seq)
        assert sent.due is not None
        assert sent.due - self.now() > TIMEOUT * 1000, "the lease ends before the handler must"
        turn.called = sent

    def given_up(self, turn: Turn, sent: Sent) -> None:
        """Settles a delivery without a call: its handler does not exist, or all attempts ended in crashes."""
        self.take(turn, sent)
        if sent.attempts - sent.forgiven > turn.last(sent):
            del sent.history[sent.attempts]
            sent.attempts -= 1
            sent.state, sent.due, sent.condition, sent.holder = "dead", None, "MaximumRetryAttempts", ""
        else:
            assert sent.route not in turn.names
            self.settled(turn, sent, Unavailable("not in routes.yaml"))

    def settled(self, turn: Turn, sent: Sent, outcome: Outcome) -> None:
        """Applies the outcome of a handler, which counts if the lease was not lost."""
        if sent.holder != turn.token:
            return
        if isinstance(outcome, Unavailable):
            self.unavailable(turn, sent)
        elif isinstance(outcome, Failed):
            self.failed(turn, sent, outcome.outcome, final=outcome.final)
        elif any(not emitted.type for emitted in outcome.emitted):
            self.failed(turn, sent, "bad-result", final=True)
        else:
            sent.settle("done", "done")
            self.emitted(turn, sent, outcome)

    def failed(self, turn: Turn, sent: Sent, outcome: str, *, final: bool) -> None:
        """Asserts that a failure is tried again within the limits of the policy, or given up for the right reason."""
        policy, now = turn.policy(sent), self.now()
        used, age = sent.attempts - sent.forgiven, (now - sent.created) / 1000
        longest = min(policy.max_delay, policy.first_delay * 2 ** (used - 1))
        seq = next(seq for seq, other in self.sent.items() if other is sent)
        due = self.due(seq)
        if final:
            sent.settle("dead", outcome, condition="NotRetriable")
        elif used >= policy.max_attempts:
            sent.settle("dead", outcome, condition="MaximumRetryAttempts")
        elif due is None:
            assert age + longest > policy.max_age, "given up too early"
            sent.settle("dead", outcome, condition="MaximumEventAgeInSeconds")
        else:
            assert longest / 2 * 1000 - 1 <= due - now <= longest * 1000 + 1
            assert due - sent.created <= policy.max_age * 1000 + 1, "to be tried again when it is too old"
            sent.settle("ready", outcome, due=due)

    def unavailable(self, turn: Turn, sent: Sent) -> None:
        """Asserts that an unavailable handler uses no attempt, until the delivery is too old."""
        policy, now = turn.policy(sent), self.now()
        age = (now - sent.created) / 1000
        if age >= policy.max_age:
            sent.settle("dead", "failed", condition="MaximumEventAgeInSeconds")
            return
        pause = max(0.001, min(max(age, policy.first_delay), policy.max_delay))
        del sent.history[sent.attempts]
        sent.attempts -= 1
        sent.state, sent.due, sent.holder = "waiting", now + round(pause * 1000), ""

    def emitted(self, turn: Turn, sent: Sent, outcome: Done) -> None:
        """Adds the emitted events of the attempt that counts to the model, with their deliveries."""
        seq = next(seq for seq, other in self.sent.items() if other is sent)
        found = self.eye.execute("SELECT raw FROM event WHERE cause = ? ORDER BY seq", (seq,)).fetchall()
        told = [(document["detail-type"], document["detail"]) for document in (json.loads(raw) for (raw,) in found)]
        assert told == [(emitted.type, json.loads(emitted.detail)) for emitted in outcome.emitted]
        for (raw,) in found:
            self.keep(raw, turn.names, now=self.now(), by=sent)

    def ended(self, turn: Turn, error: BaseException | None, outcome: Outcome | None) -> None:
        """Asserts that a finished run has left no delivery that it could claim, unless it was ended."""
        if error is None:
            assert turn.called is None
            left = [sent.row() for sent in self.sent.values() if self.is_due(turn, sent)]
            assert not left, "due, and not attempted"
        elif isinstance(error, KeyboardInterrupt):
            if turn.called and turn.called.holder == turn.token:
                turn.called.settle("ready", "interrupted", due=self.now())
                turn.called.forgiven += 1
        elif not isinstance(error, Crash):
            raise error
        else:
            if turn.called and outcome and turn.called.holder == turn.token and not self.is_leased(turn.called):
                self.settled(turn, turn.called, outcome)  # it died after the commit
            self.claimed_in_vain(turn)

    def claimed_in_vain(self, turn: Turn) -> None:
        """Applies the claims of a run that died before it could call the handler."""
        query = "SELECT seq, attempts, due FROM delivery WHERE owner = ?"
        for seq, attempts, due in self.eye.execute(query, (turn.owner,)).fetchall():
            if attempts > self.sent[seq].attempts:
                self.take(turn, self.sent[seq])
                self.sent[seq].due = due

    def due(self, seq: int) -> int | None:
        """Reads from the store when a delivery is due."""
        [(due,)] = self.eye.execute("SELECT due FROM delivery WHERE seq = ?", (seq,)).fetchall()
        return int(due) if due is not None else None

    def is_leased(self, sent: Sent) -> bool:
        """Reads from the store whether a delivery is leased."""
        seq = next(seq for seq, other in self.sent.items() if other is sent)
        return bool(self.eye.execute("SELECT 1 FROM delivery WHERE seq = ? AND state = 'leased'", (seq,)).fetchall())


@contextmanager
def machine_on(folder: Path) -> Iterator[type[StoreMachine]]:
    """Returns the machine, with a store in a folder that all its examples use one after the other."""
    time = [START]
    file = folder / "machine.db"
    with opened(file) as publisher:
        workers = [Worker(file, lambda: time[0]) for _ in range(WORKERS)]
        eye = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            yield type(
                "Machine",
                (StoreMachine,),
                {"file": file, "workers": workers, "time": time, "whole": [True], "publisher": publisher, "eye": eye},
            )
        finally:
            for worker in workers:
                worker.close()
            eye.close()


def tried(machine: type[StoreMachine], *, examples: int, seed: int, steps: int = 25, shrink: bool = True) -> None:
    """Runs a machine. Raises AssertionError with the shortest example if the store differs from the model."""
    run_state_machine_as_test(
        hypothesis.seed(seed)(machine),
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])],
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
