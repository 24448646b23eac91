"""The worker of a bus: takes messages, has handlers called, hands over what failed, and commits what is finished.

    bus -> backlog -> window -> handlers -> settlement -> messages sent -> finished -> watermark -> commit

It knows nothing of Kafka: a `WorkerBus` takes, sends and commits. A message is finished when each of its deliveries is
done and what it emitted is confirmed, or its message in a retry or dead topic is confirmed.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush

from evtool.buses.base import Message
from evtool.buses.worker.backlog import Backlog
from evtool.buses.worker.base import UnreadableMessage, WorkerBus, WorkerResult
from evtool.buses.worker.calls import ReadyCalls
from evtool.buses.worker.handover import DUE, find_number
from evtool.buses.worker.opening import Opener, Opening, Work
from evtool.buses.worker.outbox import Outbox
from evtool.buses.worker.settling import Settlement, Settler
from evtool.buses.worker.tiers import GroupTopics
from evtool.buses.worker.window import LIMIT, OpenMessage, PartitionKey, Window, partition_of
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment
from evtool.delivery.settlement import SettledDelivery
from evtool.handlers.base import Answer
from evtool.readers.field_paths import Steps
from evtool.routes.routes import Routes

# Messages.
TAKEN_AT_ONCE = 500
# Seconds between two polls while the worker needs no message. Without polls the group would give its partitions away.
POLL_INTERVAL = 1.0
# The number of finished messages that are committed at once.
COMMIT_AT = LIMIT // 4
# Seconds until fewer messages are committed.
COMMIT_INTERVAL = 0.2
# Seconds for deliveries under way when the group gives their partition to another worker.
REVOKE_GRACE = 5.0


class Worker:
    """A worker of a consumer group. `ends` are the offsets at which its work ends; None if it never does."""

    def __init__(
        self,
        bus: WorkerBus,
        topics: GroupTopics,
        routes: Routes,
        handlers: HandlerPool,
        environment: Environment,
        *,
        workers: int,
        ends: Mapping[PartitionKey, int] | None = None,
        key_path: Steps | None = None,
        skip_tombstones: bool = False,
    ):
        self._bus, self._topics, self._handlers, self._environment = bus, topics, handlers, environment
        self._opener = Opener(routes, topics, environment.now, environment.owner, skip_tombstones=skip_tombstones)
        self._settler = Settler(routes, topics, environment, key_path)
        self._calls = ReadyCalls(handlers, routes, workers)
        retry_topics = topics.retry_topics

        def find_due_time(message: Message) -> int | None:
            if message.topic in retry_topics:
                return find_number(message.headers, DUE)
            return None

        self._backlog = Backlog(find_due_time, ends)
        self._window = Window()
        # By the number of the delivery.
        self._works: dict[int, tuple[Work, OpenMessage]] = {}
        # Without retry topics, deliveries wait here: when they are due, and their numbers.
        self._waiting: list[tuple[int, int]] = []
        self._outbox = Outbox(bus.send)
        self._results: deque[WorkerResult] = deque()
        self._has_ends = ends is not None
        self._is_paused = False
        self._last_take = self._last_commit = time.monotonic()
        # The number of tombstones that were skipped.
        self.skipped = 0

    def run_rounds(self, stop_signals: Sequence[object]) -> Iterator[WorkerResult]:
        """Rounds until the partitions have been read to their ends, or a signal has come."""
        while not stop_signals:
            self._run_round()
            yield from self._take_results()
            if self._is_finished():
                return
            self._wait()

    def stop(self, grace: float) -> Iterator[WorkerResult]:
        """Ends what is under way within some seconds, and commits what is finished."""
        self._drop_calls()
        self._backlog.drop(set(self._bus.assigned or ()))
        deadline = time.monotonic() + grace
        while self._is_under_way() and time.monotonic() < deadline:
            self._settle_round()
            yield from self._take_results()
            self._handlers.wait(0.02)
            self._bus.poll_sent()
        self._handlers.stop()
        self._collect_answers()
        self._handlers.abandon()
        while self._outbox.unconfirmed and time.monotonic() < deadline + grace:
            self._bus.poll_sent(0.05)
        yield from self._take_results()
        if self._window.uncommitted:
            self._bus.commit(self._window.watermarks())
        while self._window.uncommitted and time.monotonic() < deadline + grace:
            self._note_committed(self._bus.take_committed(0.05))
            self._commit(at_least=1)

    def _run_round(self) -> None:
        self._take()
        self._open()
        self._settle_round()
        self._commit(at_least=COMMIT_AT)

    def _settle_round(self) -> None:
        """Settles what has come back, and begins what can be."""
        self._bus.poll_sent()
        self._outbox.send_again()
        self._collect_answers()
        for work, answer in self._calls.start_batches():
            self._settle(work, answer)

    def _wait(self) -> None:
        """Waits for what comes next: an answer, a report, a commit or a message."""
        if self._handlers.busy_threads:
            seconds = 0.05
            if self._outbox.unconfirmed or self._bus.is_committing:
                seconds = 0.01
            self._handlers.wait(seconds)
        elif self._outbox.unconfirmed:
            self._bus.poll_sent(0.02)
        elif self._window.room <= 0:
            self._note_committed(self._bus.take_committed(0.05))
        elif not self._backlog:
            self._add(self._bus.take(TAKEN_AT_ONCE, 0.1))

    def _is_under_way(self) -> bool:
        return bool(self._handlers.busy_threads or self._outbox.unconfirmed or self._calls)

    def _is_finished(self) -> bool:
        if not self._has_ends or self._bus.assigned is None or self._is_under_way() or self._backlog:
            return False
        if not self._bus.assigned:
            return self._bus.is_done_by_others()
        return all(map(self._backlog.is_reached, self._bus.assigned))

    def _take(self) -> None:
        """Takes messages if few are left. If many are left for a while, it still polls: else the group gives it up."""
        for key in self._backlog.release(self._environment.now()):
            self._bus.release(key)
        if len(self._backlog) < TAKEN_AT_ONCE:
            if self._is_paused:
                self._bus.resume()
                self._is_paused = False
            self._add(self._bus.take(TAKEN_AT_ONCE, 0))
        elif time.monotonic() - self._last_take > POLL_INTERVAL:
            if not self._is_paused:
                self._bus.pause()
                self._is_paused = True
            self._add(self._bus.take(1, 0))

    def _add(self, messages: Sequence[Message]) -> None:
        self._last_take = time.monotonic()
        self._backlog.add(messages)

    def _open(self) -> None:
        """Opens messages while the window has room, which it has not while commits fail."""
        now = self._environment.now()
        while self._waiting and self._waiting[0][0] <= now:
            seq = heappop(self._waiting)[1]
            work, opened = self._works[seq]
            if opened.is_abandoned:
                del self._works[seq]
            else:
                self._calls.add(work)
        messages = []
        for _ in range(self._window.room):
            message = self._backlog.take_next(now)
            if message is None:
                break
            messages.append(message)
        for message, opening in zip(messages, self._opener.open_many(messages), strict=True):
            self._open_message(message, opening)
        for hold in self._backlog.take_new_holds():
            self._bus.hold(hold.key, hold.offset)

    def _open_message(self, message: Message, opening: Opening) -> None:
        if self._window.is_done(message):
            self._window.open(message, 0)
            return
        self.skipped += opening.is_skipped
        opened = self._window.open(message, len(opening.works) + bool(opening.findings))
        if opening.findings:
            unreadable = UnreadableMessage(message, opening.findings[0])
            outgoing = self._settler.bury_unreadable(message, opening.findings[0])
            self._outbox.send([outgoing], partial(self._finish, opened, unreadable))
        for work in opening.works:
            self._works[work.claim.delivery.seq] = (work, opened)
            if work.death:
                self._carry_out(work, self._settler.bury(work, *work.death))
            else:
                self._calls.add(work)

    # --- what comes of them ------------------------------------------------------------------------------------------

    def _collect_answers(self) -> None:
        for thread in self._handlers.busy_threads:
            for claim, answer in thread.collect():
                self._settle(self._works[claim.delivery.seq][0], answer)

    def _settle(self, work: Work, answer: Answer) -> None:
        self._handlers.note_load_failure(work.claim, answer.outcome)
        self._carry_out(work, self._settler.settle(work, answer))

    def _carry_out(self, work: Work, settlement: Settlement) -> None:
        """Sends what a settlement needs. Nothing is written for a message that is another worker's now."""
        seq = work.claim.delivery.seq
        opened = self._works[seq][1]
        if opened.is_abandoned:
            del self._works[seq]
        elif settlement.is_released:
            self._calls.put_back(work)
        elif settlement.next_work:
            self._results.append(SettledDelivery(settlement.delivery, work.claim.event))
            self._works[seq] = (settlement.next_work, opened)
            due = settlement.delivery.due or 0
            heappush(self._waiting, (due, seq))
            self._backlog.hold(partition_of(opened.message), due)
        else:
            del self._works[seq]
            result = SettledDelivery(settlement.delivery, work.claim.event, settlement.emitted)
            refuse = None
            if settlement.delivery.state == "done":
                refuse = partial(self._refuse_emitted, work, opened)
            self._outbox.send(settlement.outgoing, partial(self._finish, opened, result), refuse)

    def _finish(self, opened: OpenMessage, result: WorkerResult) -> None:
        """One part of a message is over: all its messages are confirmed."""
        self._results.append(result)
        self._window.finish_part(opened)

    def _refuse_emitted(self, work: Work, opened: OpenMessage, reason: str) -> None:
        """Gives a delivery up whose emitted events the bus refuses."""
        self._works[work.claim.delivery.seq] = (work, opened)
        self._carry_out(work, self._settler.refuse_emitted(work, reason))

    def _take_results(self) -> Iterator[WorkerResult]:
        while self._results:
            yield self._results.popleft()

    # --- commits and rebalances --------------------------------------------------------------------------------------

    def _commit(self, at_least: int) -> None:
        """Commits what is finished: at once if there is so much of it, else after a while."""
        self._note_committed(self._bus.take_committed())
        uncommitted, now = self._window.uncommitted, time.monotonic()
        if not uncommitted or self._bus.is_committing:
            return
        if uncommitted >= at_least or now - self._last_commit > COMMIT_INTERVAL:
            self._last_commit = now
            self._bus.commit(self._window.watermarks())

    def _note_committed(self, committed: Mapping[PartitionKey, int]) -> None:
        for key, offset in committed.items():
            self._window.commit(key, offset)

    def assign(self, keys: Iterable[PartitionKey]) -> None:
        """Starts with partitions that the group has given to this worker."""
        self._abandon(set(keys))

    def revoke(self, keys: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """Ends what is under way in partitions that go to other workers. Returns their watermarks."""
        revoked = set(keys)
        self._backlog.drop(revoked)
        self._drop_calls(revoked)
        deadline = time.monotonic() + REVOKE_GRACE
        while self._window.count_under_way(revoked) and self._is_under_way() and time.monotonic() < deadline:
            self._settle_round()
            self._handlers.wait(0.01)
        watermarks = {key: offset for key, offset in self._window.watermarks().items() if key in revoked}
        self._abandon(revoked)
        return watermarks

    def lose(self, keys: Iterable[PartitionKey]) -> None:
        """Drops partitions that the group has already given to other workers."""
        self._abandon(set(keys))

    def reach_end(self, key: PartitionKey) -> None:
        """Notes that a partition has no more messages now."""
        self._backlog.reach_end(key)

    def _drop_calls(self, keys: set[PartitionKey] | None = None) -> None:
        """Drops the calls that are not begun, in all partitions or in some.

        Those of messages before one that is begun are kept: it could not be committed without them.
        """
        waiting = Counter(self._works[work.claim.delivery.seq][1] for work in self._calls)
        last_begun = self._window.find_last_begun(waiting)

        def is_wanted(work: Work) -> bool:
            message = self._works[work.claim.delivery.seq][1].message
            key = partition_of(message)
            return (keys is not None and key not in keys) or message.offset <= last_begun.get(key, -1)

        for work in self._calls.keep_only(is_wanted):
            del self._works[work.claim.delivery.seq]

    def _abandon(self, keys: set[PartitionKey]) -> None:
        self._backlog.drop(keys)
        self._window.abandon(keys)
        self._calls.keep_only(lambda work: not self._works[work.claim.delivery.seq][1].is_abandoned)
