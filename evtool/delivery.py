"""Delivery: claim what is due, call its handler, and record the outcome together with the events that it emitted."""

import json
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from evtool.event import Event, envelope, identify, replayed, rfc3339
from evtool.handler import Call, Done, Emitted, Failed, Handler, Outcome, Unavailable
from evtool.intake import accept
from evtool.jsontext import parse
from evtool.reading import MAX_BYTES
from evtool.retry import GiveUp, Retry, after_failure, while_unavailable
from evtool.routes import Routes
from evtool.store import Store
from evtool.stored import Attempt, Cause, Delivery, Stored
from evtool.transform import transformed
from evtool.validation import Rules

# How much longer than the handler's own time limit a lease lasts: ending a process that resists, and waiting for the
# store's lock, must not let another worker take the delivery over.
LEASE_MARGIN = 60.0
LONGEST_LEASE = 24 * 3600 * 1000  # ms; a worker with other routes may have taken longer ones than ours
EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")  # the name space of the ids of emitted events


class World(NamedTuple):
    """What delivery needs from outside: the time (ms), randomness, who is working, and what emitted events must be."""

    now: Callable[[], int]
    random: Random
    owner: str
    rules: Rules


class Handlers:
    """The handlers of a project, opened when first called and kept warm until closed."""

    def __init__(self, routes: Routes):
        self._entries = routes.handlers
        self._open: dict[str, Handler] = {}

    def __enter__(self) -> "Handlers":
        return self

    def __exit__(self, *_: object) -> None:
        for handler in self._open.values():
            handler.close()

    def call(self, name: str, call: Call) -> Outcome:
        """Calls a handler by name; one that routes.yaml does not have is not available."""
        if name not in self._entries:
            return Unavailable(f"there is no handler {name} in routes.yaml")
        if name not in self._open:
            self._open[name] = self._entries[name].open()
        return self._open[name](call)

    def timeout(self, name: str) -> float:
        """The time limit of a handler in seconds."""
        return self._entries[name].options.timeout if name in self._entries else 0.0


class Road(NamedTuple):
    """Everything that an event meets on its way."""

    store: Store
    routes: Routes
    handlers: Handlers
    world: World


def deliver(road: Road, *, root: int | None = None, replay: str | None = None) -> Iterator[Delivery]:
    """Attempts what is due, and what becomes due by it, until nothing is; yields each delivery as it then stands.

    `root` limits it to one chain of events, `replay` to one replay. What waits is looked for once.
    """
    store, world = road.store, road.world
    longest = max((road.handlers.timeout(name) for name in road.routes.handlers), default=0.0)
    lease = round((longest + LEASE_MARGIN) * 1000)
    begun = now = world.now()
    store.release(now=now, longest=max(lease, LONGEST_LEASE))
    while claimed := store.claim(now=now, owner=world.owner, lease=lease, begun=begun, root=root, replay=replay):
        try:
            _attempt(claimed, road, started=now)
        except BaseException as error:
            broken = Attempt(claimed.attempts, now, world.now() - now, "interrupted", type(error).__name__, None)
            store.retry(claimed, broken, due=world.now())
            raise
        yield from (each for each in store.deliveries(claimed.event) if each.seq == claimed.seq)  # unless purged
        now = world.now()


def _attempt(claimed: Delivery, road: Road, *, started: int) -> None:
    stored = road.store.event(claimed.event)
    policy = road.routes.routes[claimed.route].retry if claimed.route in road.routes.routes else Retry()
    used = claimed.attempts - claimed.forgiven
    if used > policy.max_attempts:  # the attempts before this one never told their end: they took evtool down
        outcome: Outcome = Failed("no attempt came to an end", "crashed", final=True)
    else:
        outcome = _call(claimed, stored, road)
    ended = road.world.now()
    age = (ended - claimed.created) / 1000

    pause: float | GiveUp | None = None
    if isinstance(outcome, Unavailable):
        pause = while_unavailable(policy, age=age)
        if not isinstance(pause, GiveUp):
            road.store.wait(claimed, reason=outcome.reason, due=ended + round(pause * 1000))
            return
        outcome = Failed(outcome.reason)  # and given up for its age, however many attempts there were
    if isinstance(outcome, Done):
        outcome = _finish(claimed, stored, outcome, road, started=started, ended=ended)
    if isinstance(outcome, Failed):
        attempt = Attempt(
            claimed.attempts,
            started,
            ended - started,
            outcome.outcome,
            outcome.error,
            outcome.output or None,
            outcome.code,
        )
        pause = pause or after_failure(policy, attempts=used, age=age, final=outcome.final, random=road.world.random)
        if isinstance(pause, GiveUp):
            road.store.bury(claimed, attempt, condition=pause.condition)
        else:
            road.store.retry(claimed, attempt, due=ended + round(pause * 1000))


def _call(claimed: Delivery, stored: Stored, road: Road) -> Outcome:
    event = identify(stored.raw)
    if claimed.replay:
        event = identify(replayed(event.raw, event.document, claimed.replay))
    raw = event.raw
    route = road.routes.routes.get(claimed.route)
    if route and route.input:
        try:
            raw = transformed(route.input, event, route=route.name, received=stored.stored_at)
        except ValueError as reason:
            return Failed(f"the input cannot be made: {reason}", final=True)
    return road.handlers.call(claimed.handler, Call(raw, event.id, event.type, claimed.route, claimed.attempts))


def _finish(claimed: Delivery, stored: Stored, done: Done, road: Road, *, started: int, ended: int) -> Done | Failed:
    """Records that a delivery is done and lets in what it emitted, in one transaction.

    If the lease was lost meanwhile, whoever has it now will tell the end, and nothing is recorded.
    """
    events = []
    for number, emitted in enumerate(done.emitted):
        event = _event(emitted, number, claimed, stored, road.world.rules, ended)
        if isinstance(event, str):
            return Failed(event, "bad-result", done.output, final=True)
        events.append(event)
    cause = Cause(claimed.seq, stored.root, stored.depth + 1, claimed.replay or None)
    attempt = Attempt(claimed.attempts, started, ended - started, "done", None, done.output or None)
    with road.store.transaction():
        if road.store.finish(claimed, attempt):
            for event in events:
                accept(event, store=road.store, routes=road.routes, now=road.world.now, cause=cause)
    return done


def _event(emitted: Emitted, number: int, claimed: Delivery, stored: Stored, rules: Rules, now: int) -> Event | str:
    """The event that a handler told, or why it cannot enter: that is the handler's mistake, and trying again would only
    repeat its work. The id is derived from the cause: the same delivery tells the same event."""
    name = json.dumps([stored.source, stored.id, claimed.route, claimed.handler, claimed.replay, number])
    try:
        raw = envelope(
            json.dumps(emitted.detail, ensure_ascii=False, allow_nan=False).encode(),
            type=emitted.type,
            source=emitted.source or claimed.handler,
            id=str(uuid.uuid5(EMITTED_IDS, name)),
            time=emitted.time or rfc3339(now),
            resources=emitted.resources,
            replay=claimed.replay or None,
        )
        parse(raw)  # no deeper than any other event
        event = identify(raw)
    except (ValueError, RecursionError) as error:
        return f"emitted {emitted.type}, which is no event: {error}"
    if len(raw) > MAX_BYTES:
        return f"emitted {emitted.type}, which is too long: {len(raw)} bytes; {MAX_BYTES} are allowed"
    wrong = [finding for finding in rules.check(event) if finding.severity == "error"]
    if not wrong:
        return event
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"emitted {event.type}, which is not valid: {wrong[0].code} {wrong[0].message}{more}"
