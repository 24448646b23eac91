"""Delivery: claims what is due for the handlers that are free, and settles what came back, many in one commit.

One thread has the store and decides; each handler is called in threads of its own (slots.py). A round settles all that
has come back since the last one and claims what the free slots can do, in one transaction.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from evtool.delivery.intake import accept, is_same
from evtool.delivery.lease import BEGIN_WITHIN, LONGEST_LEASE, lease_of
from evtool.delivery.outcomes import Came, World, came_of, given_back, interrupted
from evtool.delivery.pool import MOST, Handlers, Job, Slot
from evtool.delivery.recovery import PATIENCE
from evtool.delivery.recovery import left as left_behind
from evtool.errors import StoreError
from evtool.events.envelopes import identify, replayed
from evtool.events.event import Event
from evtool.events.input_transformer import transformed
from evtool.handlers.base import Answer, Call, Failed, Unavailable
from evtool.handlers.processes.worker_protocol import GarbledError, outcome_of, read
from evtool.routes.models import Retry
from evtool.routes.routes import Routes
from evtool.signals import deferred, noted
from evtool.store.queue import Chain, Claim, Lane, claim, find_lanes, first_due, repair_due_times, settle, still_leased
from evtool.store.rows import Cause, Delivery, StoredEvent
from evtool.store.store import Store

WORKERS = 4  # handlers that are called at a time, if nothing else is said
GRACE = 5.0  # seconds for calls to end when evtool is to end
LOOK_AFTER = 1.0  # seconds between two looks for what those who were killed have left
PAUSE = 0.1  # seconds between two looks for what others have stored, or for what has become due
FOREVER = 1 << 62  # ms
CRASHES = 3  # attempts without an end that a delivery gets at least: they may have ended before the handler was called

Idle = Callable[[float], bool]


class Road(NamedTuple):
    """Everything that an event meets on its way."""

    store: Store
    routes: Routes
    handlers: Handlers
    world: World


class Settled(NamedTuple):
    """A delivery as an attempt has left it, its event, and the ids of the events that it emitted."""

    delivery: Delivery
    event: StoredEvent
    emitted: tuple[str, ...] = ()


class _Run:
    """What a run of deliveries keeps in mind between its rounds."""

    def __init__(self, road: Road, workers: int, chain: Chain | None, *, forever: bool):
        self._road, self._workers, self._chain = road, workers, chain
        self._begun = FOREVER if forever else road.world.now()
        self._lanes: list[Lane] = []
        self._served: dict[object, int] = {}  # handlers and lanes, by the turn in which they were last served
        self._turn = 0
        self._arrived: list[tuple[Claim, Answer]] = []  # what came back and is not settled yet
        if chain is None:
            longest = max([LONGEST_LEASE, *(self._lease(name) for name in road.routes.handlers)])
            pause = max(round(self._policy(name).max_delay * 1000) for name in ["", *road.routes.routes])
            repair_due_times(road.store, now=road.world.now(), max_lease=longest, max_pause=pause)

    def rounds(self, ended: Sequence[object], idle: Idle | None) -> Iterator[Settled]:
        """Rounds until nothing is due or under way, or a signal has come."""
        handlers, look = self._road.handlers, 0.0
        while not ended:
            if (self._chain is None or self._chain.replay) and time.monotonic() >= look:
                yield from self._inherit(patience=0 if look else PATIENCE)
                look = time.monotonic() + LOOK_AFTER
            yield from self.round()
            soonest = min((lane.due for lane in self._lanes), default=FOREVER) - self._road.world.now()
            if handlers.busy:
                handlers.wait(PAUSE)
            elif soonest > 0 and (idle is None or not idle(min(soonest / 1000, PAUSE))):
                return

    def round(self, *, claiming: bool = True) -> Iterator[Settled]:
        """Settles what has come back, and begins what can be."""
        self._collect()
        if not self._arrived:
            self._lanes = self._look() if claiming else []
            if not self._next():
                return
        with self._road.store.transaction():
            settled = self._settle(self._arrived)
            self._lanes = self._look() if claiming else []
            taken = self._claim(settled)
        self._arrived = []
        for slot in taken:
            if slot.thread:
                slot.begin()
        yield from settled
        for slot in taken:
            if not slot.thread:
                slot.begin()

    def stop(self) -> list[Settled]:
        """Ends what is under way and gives back what was not begun."""
        self._road.handlers.halt()
        self._collect()
        left, now = self._road.handlers.left(), self._road.world.now()
        cames = [Came(interrupted(claim, now) if begun else given_back(claim, now)) for claim, begun in left]
        with self._road.store.transaction():
            settled = [*self._settle(self._arrived), *self._written([claim for claim, _ in left], cames)]
        self._road.handlers.settled = True
        return settled

    def _inherit(self, patience: float) -> Iterator[Settled]:
        """Settles what others had been told when they were killed, and frees what they had not begun."""
        store, now = self._road.store, self._road.world.now()
        for left in left_behind(store.file, patience=patience):
            with store.transaction():
                told = still_leased(store, left.owner, {seq: each.attempt for seq, each in left.told.items()})
                answered = []
                for seq, one in told.items():
                    with suppress(GarbledError):  # else its lease ends
                        answered.append((one, Answer(outcome_of(read(left.told[seq].answer)), left.told[seq].seconds)))
                settled = self._settle(answered)
                idle = [*still_leased(store, left.owner, left.idle).values()]
                self._written(idle, [Came(given_back(one, now)) for one in idle])
            yield from settled

    def _collect(self) -> None:
        with deferred():  # else an answer might be lost, and those after it seem to be those of others
            for slot in self._road.handlers.busy:
                self._arrived.extend(slot.came())

    def _look(self) -> list[Lane]:
        with self._road.store.transaction("DEFERRED"):
            return list(find_lanes(self._road.store, self._chain, run_start=self._begun))

    def _next(self) -> Lane | None:
        """The lane whose turn it is: of a handler that is free, the one that was served the longest time ago.

        When nobody waits for a worker, a handler that is fast is given its next calls before it is through.
        """
        handlers, now = self._road.handlers, self._road.world.now()
        due = [lane for lane in self._lanes if lane.due <= now]
        free = [lane for lane in due if handlers.is_free(lane.handler)]
        if len(handlers.busy) >= self._workers or not free:
            waiting = {lane.handler for lane in due} - {slot.name for slot in handlers.busy}
            free = [] if waiting else [lane for lane in due if handlers.fast(lane.handler)]
        served = self._served.get
        return min(free, key=lambda lane: (served(lane.handler, 0), served(lane[:2], 0), lane.due), default=None)

    def _slot(self, handler: str) -> Slot | None:
        """The slot that is to have calls of a handler that may have some; None if there is no such handler."""
        handlers = self._road.handlers
        if handler not in handlers:
            return None
        is_free = handlers.is_free(handler) and len(handlers.busy) < self._workers
        return handlers.slot(handler) if is_free else handlers.fast(handler)

    def _claim(self, settled: list[Settled]) -> list[Slot]:
        """Takes what free slots can do. What needs no call is settled at once."""
        taken = []
        while len(settled) < MOST * 4 and (lane := self._next()):
            self._turn += 1
            self._served[lane.handler] = self._served[lane[:2]] = self._turn
            slot = self._slot(lane.handler)
            latest, claims = time.monotonic() + BEGIN_WITHIN, self._claimed(lane, slot.size if slot else MOST)
            self._lanes.remove(lane)
            if (due := first_due(self._road.store, lane, self._chain, run_start=self._begun)) is not None:
                self._lanes.append(lane._replace(due=due))
            needs = [(claim, self._needs(claim)) for claim in claims]
            calls = [(claim, need) for claim, need in needs if isinstance(need, Call)]
            if slot and calls:
                slot.take(Job([claim for claim, _ in calls], [call for _, call in calls], latest))
                taken.append(slot)
            settled += self._settle([(claim, need) for claim, need in needs if isinstance(need, Answer)])
        return taken

    def _claimed(self, lane: Lane, most: int) -> list[Claim]:
        world = self._road.world
        return claim(
            self._road.store,
            lane,
            self._chain,
            now=world.now(),
            run_start=self._begun,
            owner=world.owner,
            lease_ms=self._lease(lane.handler),
            limit=most,
            max_attempts=self._last(lane.route),
        )

    def _lease(self, handler: str) -> int:
        return lease_of(self._road.handlers.timeout(handler))

    def _policy(self, route: str) -> Retry:
        return self._road.routes.routes[route].retry if route in self._road.routes.routes else Retry()

    def _last(self, route: str) -> int:
        """The last attempt that is made."""
        return max(self._policy(route).max_attempts, CRASHES)

    def _needs(self, claim: Claim) -> Call | Answer:
        """The call that a delivery needs, or what there is to say without one."""
        claimed, stored = claim
        if claimed.attempts - claimed.forgiven > self._last(claimed.route):  # those before it took evtool down
            return Answer(Failed("no attempt came to an end", "crashed"))
        if claimed.handler not in self._road.handlers:
            return Answer(Unavailable(f"there is no handler {claimed.handler} in routes.yaml"))
        if not (route := self._road.routes.routes.get(claimed.route)):  # it may have had an input
            return Answer(Unavailable(f"there is no route {claimed.route} in routes.yaml"))
        raw, name = stored.raw, claimed.replay
        raw = replayed(raw, identify(raw).document, name) if name else raw
        if route.input:
            try:
                raw = transformed(route.input, identify(raw), route=route.name, received=stored.stored_at)
            except ValueError as reason:
                return Answer(Failed(f"the input cannot be made: {reason}", final=True))
        return Call(raw, stored.id, stored.type, claimed.route, claimed.attempts, claimed.seq)

    def _settle(self, answered: Sequence[tuple[Claim, Answer]]) -> list[Settled]:
        """Writes down what came of deliveries, and lets in what they emitted."""
        return self._written([claim for claim, _ in answered], [self._came(*each) for each in answered])

    def _came(self, held: Claim, answer: Answer) -> Came:
        """What comes of an attempt. An event whose key is taken cannot enter, and must not be lost in silence."""
        policy, world = self._policy(held.delivery.route), self._road.world
        came = came_of(held, answer, policy, world)
        if not (taken := next(filter(self._is_taken, came.events), None)):
            return came
        why = f"emitted {taken.type}, but its source and id {taken.id} are those of another event in the store"
        return came_of(held, Answer(Failed(why, "bad-result", final=True), answer.seconds), policy, world)

    def _is_taken(self, event: Event) -> bool:
        """Whether another event has this key. One that differs in its time only is the same, told again."""
        there = self._road.store.find_event(event.source, event.id)
        return there is not None and not is_same(identify(there.raw), event, whenever=True)

    def _written(self, claims: Sequence[Claim], cames: Sequence[Came]) -> list[Settled]:
        """Whoever lost a lease meanwhile changes nothing: who has it now will tell the end."""
        store = self._road.store
        ours = settle(store, [came.ending for came in cames]) if cames else set()
        settled = []
        for (claimed, event), came in zip(claims, cames, strict=True):
            if claimed.seq in ours:
                settled.append(Settled(came.ending.result, event, self._let_in(came, event)))
            else:  # as it stands, unless somebody has purged it
                settled += [
                    Settled(one, event) for one in store.list_deliveries(claimed.event) if one.seq == claimed.seq
                ]
        return settled

    def _let_in(self, came: Came, event: StoredEvent) -> tuple[str, ...]:
        """Stores the events that a delivery emitted; their ids."""
        road, claimed = self._road, came.ending.delivery
        cause = Cause(claimed.seq, event.root, event.depth + 1, claimed.replay or None)
        kept = [
            (each.id, accept(each, store=road.store, routes=road.routes, now=road.world.now, cause=cause))
            for each in came.events
        ]
        return tuple(name for name, one in kept if one.status == "stored")


def deliver(
    road: Road,
    *,
    workers: int = WORKERS,
    chain: Chain | None = None,
    idle: Idle | None = None,
    grace: float = GRACE,
) -> Generator[Settled]:
    """Attempts what is due, and what becomes due by it, until nothing is; yields each delivery as it then stands.

    `workers` handlers at most are called at a time. `chain` limits it to what one event led to. What waits is looked
    for once. With `idle` it never ends by itself: when nothing is due, that is called with the seconds until something
    may be, sleeps, and returns whether to go on; what waits is looked for whenever it is due.

    A signal has it claim no more, wait for what is under way, `grace` seconds at most, give the rest back, and raise
    what the signal raises; another one ends it at once. Whoever does not take all must close it.
    """
    run = _Run(road, workers, chain, forever=idle is not None)
    road.handlers.settled = False
    with noted() as came:
        try:
            yield from run.rounds(came, idle)
            deadline = time.monotonic() + grace
            while road.handlers.busy and time.monotonic() < deadline:
                road.handlers.wait(min(PAUSE, deadline - time.monotonic()))
                yield from run.round(claiming=False)
            yield from run.stop()
        except BaseException as error:
            if isinstance(error, StoreError):  # nobody is to wait for a lock twice
                road.store.set_busy_timeout(0)
            with suppress(Exception):  # what came first is told
                run.stop()
            raise
