"""The worker of a bus with a bus in memory: nothing is committed before it is done or handed over."""

import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from random import Random
from typing import Any

import pytest

from evtool.buses.base import Failure, Message
from evtool.buses.worker.base import WorkerResult
from evtool.buses.worker.handover import Outgoing
from evtool.buses.worker.outbox import Listener
from evtool.buses.worker.run import deliver_messages
from evtool.buses.worker.tiers import GroupTopics
from evtool.buses.worker.window import LIMIT, PartitionKey
from evtool.buses.worker.worker import Worker
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment
from evtool.delivery.settlement import SettledDelivery
from evtool.handlers.base import Call, Done, Emitted, Failed, HandlerOptions, Outcome, Unavailable
from evtool.patterns.pattern import Pattern
from evtool.routes.models import Retry
from evtool.routes.routes import Route, Routes
from evtool.schemas.validation import Rules
from tests.support.fake_handlers import FakeBatchHandler, fake_entry

KEYS = [PartitionKey("t", 0), PartitionKey("t", 1)]
NOW = 1_000_000
Answers = Callable[[Call], Outcome]


class MemoryBus:
    """Partitions in memory. What a worker may do wrong is checked when it happens."""

    def __init__(self) -> None:
        self.logs: dict[PartitionKey, list[Message]] = {key: [] for key in KEYS}
        self.positions: Counter[PartitionKey] = Counter()
        self.held: dict[PartitionKey, int] = {}
        self.sent: list[Outgoing] = []
        self.reports: deque[tuple[Outgoing, Listener]] = deque()
        self.committed: Counter[PartitionKey] = Counter()
        self.pending: Mapping[PartitionKey, int] | None = None
        self.assigned: set[PartitionKey] | None = set(KEYS)
        self.is_paused = False
        self.commits_fail = False
        self.fails: Callable[[Outgoing], Failure | None] = lambda _outgoing: None
        self.before_take: Callable[[], None] = lambda: None

    def add(self, value: bytes | None, partition: int = 0, headers: Any = ()) -> None:
        log = self.logs[KEYS[partition]]
        log.append(Message("t", partition, len(log), NOW, b"k", value, headers))

    def take(self, most: int, _seconds: float) -> list[Message]:
        self.before_take()
        messages: list[Message] = []
        for key in () if self.is_paused else sorted(self.assigned or ()):
            if key in self.held:
                continue
            new = self.logs.get(key, [])[self.positions[key] :][: most - len(messages)]
            self.positions[key] += len(new)
            messages += new
        return messages

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def hold(self, key: PartitionKey, offset: int) -> None:
        self.held[key] = offset

    def release(self, key: PartitionKey) -> None:
        self.positions[key] = self.held.pop(key)

    def send(self, outgoing: Outgoing, listener: Listener) -> None:
        self.reports.append((outgoing, listener))

    def poll_sent(self, _seconds: float = 0) -> None:
        for _ in range(len(self.reports)):
            outgoing, listener = self.reports.popleft()
            failure = self.fails(outgoing)
            if failure is None:
                self.sent.append(outgoing)
            listener(failure)

    def commit(self, watermarks: Mapping[PartitionKey, int]) -> None:
        self.pending = watermarks

    @property
    def is_committing(self) -> bool:
        return self.pending is not None

    def take_committed(self, _seconds: float = 0) -> Mapping[PartitionKey, int]:
        pending, self.pending = self.pending or {}, None
        if self.commits_fail:
            return {}
        self.committed.update({key: offset - self.committed[key] for key, offset in pending.items()})
        return pending

    def is_done_by_others(self) -> bool:
        return True


class Place:
    """A worker with its bus, and handlers that the test answers for."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.calls: Counter[str] = Counter()
        self.tiers: tuple[float, ...] = (5.0, 60.0)
        self.answers: dict[str, Answers] = defaultdict(lambda: lambda _call: Done())
        self.retry = Retry()
        self.now = NOW

    def answer(self, name: str, call: Call) -> Outcome:
        self.calls[f"{call.event_id} {name}"] += 1
        return self.answers[name](call)

    def build(self, ends: bool = True) -> tuple[Worker, HandlerPool]:
        entries = {
            name: fake_entry(name, HandlerOptions(emits=[]), lambda n=name: FakeBatchHandler(partial(self.answer, n)))
            for name in ("a", "b")
        }
        routes = Routes([Route("r", Pattern({"detail-type": ["t"]}), ("a", "b"), self.retry)], entries)
        environment = Environment(lambda: self.now, Random(1), "owner", Rules(None))
        handlers = HandlerPool(routes)
        topics = GroupTopics(("t",), "g", self.tiers)
        limits = {key: len(log) for key, log in self.bus.logs.items()} if ends else None
        return Worker(self.bus, topics, routes, handlers, environment, workers=4, ends=limits), handlers

    def run(self) -> list[WorkerResult]:
        worker, handlers = self.build()
        with handlers, closing(deliver_messages(worker)) as results:
            return list(results)

    def states(self, results: list[WorkerResult]) -> Counter[str]:
        return Counter(each.delivery.state for each in results if isinstance(each, SettledDelivery))


@pytest.fixture
def place() -> Place:
    """A worker that is not started."""
    return Place()


def event(name: str) -> bytes:
    """An event that two handlers get."""
    return json.dumps({"id": name, "source": "s", "detail-type": "t", "detail": {}}).encode()


def test_everything_is_done_once_and_committed(place: Place) -> None:
    """Many messages in two partitions: each delivery is made once, and all is committed at the end."""
    for number in range(1000):
        place.bus.add(event(str(number)), number % 2)
    results = place.run()

    assert place.states(results) == {"done": 2000}
    assert set(place.calls.values()) == {1}
    assert place.bus.committed == {KEYS[0]: 500, KEYS[1]: 500}
    assert place.bus.sent == []


def test_handling_stops_while_commits_fail(place: Place) -> None:
    """No more than the window is handled if nothing can be committed: that many are repeated at most."""
    for number in range(1000):
        place.bus.add(event(str(number)))
    place.bus.commits_fail = True
    rounds = iter(range(300))

    def count_rounds() -> None:
        if next(rounds, None) is None:
            raise KeyboardInterrupt

    worker, handlers = place.build()
    commit = place.bus.take_committed

    def failing(seconds: float = 0) -> Mapping[PartitionKey, int]:
        count_rounds()
        return commit(seconds)

    place.bus.take_committed = failing  # type: ignore[method-assign]
    with handlers, closing(deliver_messages(worker)) as results, pytest.raises(KeyboardInterrupt):
        list(results)

    assert len({name.split()[0] for name in place.calls}) == LIMIT
    assert place.bus.committed.total() == 0


def test_failed_delivery_is_handed_over_before_the_commit(place: Place) -> None:
    """Each failed handler has its own message in a retry topic; a message is committed only when it is confirmed."""
    place.bus.add(event("1"), headers=[("h", None)])
    place.answers["a"] = lambda _call: Failed("no")
    refusals = iter([Failure("timed out", is_final=False)] * 2)
    place.bus.fails = lambda _outgoing: next(refusals, None)
    results = place.run()

    assert place.states(results) == {"done": 1, "ready": 1}
    (message,) = place.bus.sent
    assert (message.topic, message.key, message.value) == ("t.g.retry.5s", b"k", event("1"))
    headers = dict(message.headers)
    assert (headers["h"], headers["evtool-handler"], headers["evtool-attempt"]) == (None, b"a", b"1")
    assert headers["evtool-due"] == str(NOW + 5000).encode()
    assert place.bus.committed[KEYS[0]] == 1


@pytest.mark.parametrize(
    ("outcome", "attempt", "state"), [(Failed("no"), b"1", "ready"), (Unavailable("off"), b"0", "waiting")]
)
def test_unavailable_uses_no_attempt(place: Place, outcome: Outcome, attempt: bytes, state: str) -> None:
    """The header of the retry message counts attempts, not looks for a handler that is not available."""
    place.bus.add(event("1"))
    place.answers["a"] = lambda _call: outcome
    results = place.run()

    assert place.states(results) == {"done": 1, state: 1}
    assert dict(place.bus.sent[0].headers)["evtool-attempt"] == attempt


def test_final_failure_is_a_dead_letter(place: Place) -> None:
    """A failure that no retry can repair goes to the dead topic at once."""
    place.bus.add(event("1"))
    place.answers["a"] = lambda _call: Failed("no", final=True)
    results = place.run()

    assert place.states(results) == {"done": 1, "dead": 1}
    assert place.bus.sent[0].topic == "t.g.dead"
    assert dict(place.bus.sent[0].headers)["evtool-condition"] == b"NotRetriable"


def test_emitted_events_are_confirmed_before_the_commit(place: Place) -> None:
    """An emitted event that is not confirmed keeps its cause uncommitted; one that is refused ends it."""
    place.bus.add(event("1"))
    place.answers["a"] = lambda _call: Done((Emitted("other", b"{}"),))
    place.bus.fails = lambda outgoing: Failure("too large", is_final=True) if outgoing.topic == "t" else None
    results = place.run()

    assert place.states(results) == {"done": 1, "dead": 1}
    assert [outgoing.topic for outgoing in place.bus.sent] == ["t.g.dead"]
    assert b"the bus refuses: too large" in (dict(place.bus.sent[0].headers)["evtool-reason"] or b"")


def test_retry_message_calls_only_its_handler(place: Place) -> None:
    """A message of a retry topic is one delivery, with its attempts."""
    place.bus.add(event("1"))
    place.answers["a"] = lambda _call: Failed("no")
    place.run()
    (retry,) = place.bus.sent
    key = PartitionKey("t.g.retry.5s", 0)
    again = Place()
    again.now = NOW + 10_000
    again.bus.logs = {key: [Message(*key, 0, NOW, retry.key, retry.value, retry.headers)]}
    again.bus.assigned = {key}
    results = again.run()

    assert again.calls == {"1 a": 1}
    assert [each.delivery.attempts for each in results if isinstance(each, SettledDelivery)] == [2]


def test_retry_message_waits_until_it_is_due(place: Place) -> None:
    """A run with an end leaves messages that are not due uncommitted."""
    place.bus.add(event("1"))
    place.answers["a"] = lambda _call: Failed("no")
    place.run()
    (retry,) = place.bus.sent
    key = PartitionKey("t.g.retry.5s", 0)
    again = Place()
    again.bus.logs = {key: [Message(*key, 0, NOW, retry.key, retry.value, retry.headers)]}
    again.bus.assigned = {key}

    assert again.run() == []
    assert again.bus.held == {key: 0}
    assert again.bus.committed.total() == 0


def test_without_retry_topics_the_message_waits_in_the_worker(place: Place) -> None:
    """Nothing is sent or committed, and no further message of the partition is started. Other partitions continue."""
    place.tiers = ()
    for number in range(50):
        place.bus.add(event(f"x{number}"), 0)
        place.bus.add(event(f"y{number}"), 1)
    place.answers["a"] = lambda call: Failed("no") if call.event_id == "x0" else Done()
    results = place.run()

    assert place.states(results)["ready"] == 1
    assert place.bus.sent == []
    assert place.bus.committed == {KEYS[1]: 50}


def test_unreadable_message_is_buried(place: Place) -> None:
    """It is reported with a finding, and committed when its dead letter is confirmed."""
    place.bus.add(b"{")
    place.bus.add(None)
    results = place.run()

    assert [each.finding.code for each in results if not isinstance(each, SettledDelivery)] == ["EV002", "EV009"]
    assert [(outgoing.topic, outgoing.value) for outgoing in place.bus.sent] == [("t.g.dead", b"{"), ("t.g.dead", None)]
    assert place.bus.committed[KEYS[0]] == 2


def test_revoked_partition_is_finished_first(place: Place) -> None:
    """Running calls of a partition end before another worker gets it. Further messages are not started."""
    for number in range(300):
        place.bus.add(event(str(number)), number % 2)
    worker, handlers = place.build(ends=False)
    watermarks: dict[PartitionKey, int] = {}

    def revoke_once() -> None:
        if place.calls and not watermarks and place.bus.assigned:
            place.bus.assigned = {KEYS[1]}
            watermarks.update(worker.revoke({KEYS[0]}))
            raise KeyboardInterrupt

    place.bus.before_take = revoke_once
    with handlers, closing(deliver_messages(worker)) as results, pytest.raises(KeyboardInterrupt):
        list(results)
    first = {str(number) for number in range(0, 300, 2)}
    begun = {name.split()[0] for name in place.calls} & first

    assert begun == {str(number) for number in range(0, 2 * watermarks.get(KEYS[0], 0), 2)}


def test_lost_partition_writes_nothing_more(place: Place) -> None:
    """A call that fails after its partition was lost is another worker's business."""
    place.bus.add(event("1"))
    worker, handlers = place.build(ends=False)

    def lose(_call: Call) -> Outcome:
        worker.lose({KEYS[0]})
        place.bus.before_take = stop
        return Failed("no")

    def stop() -> None:
        if sum(place.calls.values()) == 2:
            raise KeyboardInterrupt

    place.answers["a"] = lose
    with handlers, closing(deliver_messages(worker)) as results, pytest.raises(KeyboardInterrupt):
        list(results)

    assert place.bus.sent == []
    assert place.bus.committed.total() == 0
