"""Delivery: claim what is due, call its handler, and record the outcome together with the events that it emitted."""

import json
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from evtool.errors import ConfigError
from evtool.event import Event, envelope, identify, replayed, rfc3339
from evtool.handler import Call, Done, Emitted, Failed, Handler, Outcome, Unavailable
from evtool.intake import accept
from evtool.retry import GiveUp, Retry, after_failure, while_unavailable
from evtool.routes import Routes
from evtool.store import Store
from evtool.stored import Attempt, Cause, Delivery, Stored
from evtool.validation import Rules

# How much longer than the handler's own time limit a lease lasts: ending a process that resists, and waiting for the
# store's lock, must not let another worker take the delivery over.
LEASE_MARGIN = 60.0
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


def deliver(
    store: Store,
    routes: Routes,
    handlers: Handlers,
    world: World,
    *,
    root: int | None = None,
    replay: str | None = None,
) -> Iterator[Delivery]:
    """Attempts what is due, and what becomes due by it, until nothing is; yields each delivery as it then stands.

    `root` limits it to one chain of events, `replay` to one replay.
    """
    longest = max((handlers.timeout(name) for name in routes.handlers), default=0.0)
    while True:
        now = world.now()
        until = now + round((longest + LEASE_MARGIN) * 1000)
        claimed = store.claim(now=now, owner=world.owner, until=until, root=root, replay=replay)
        if claimed is None:
            return
        try:
            _attempt(claimed, store, routes, handlers, world, started=now)
        except KeyboardInterrupt:
            broken = Attempt(claimed.attempts, now, world.now() - now, "interrupted", "interrupted", None)
            store.retry(claimed, broken, due=world.now())
            raise
        yield store.delivery(claimed.seq)


def _attempt(
    claimed: Delivery, store: Store, routes: Routes, handlers: Handlers, world: World, *, started: int
) -> None:
    stored = store.event(claimed.event)
    policy = routes.routes[claimed.route].retry if claimed.route in routes.routes else Retry()
    used = claimed.attempts - claimed.forgiven
    if used > policy.max_attempts:  # the attempts before this one never told their end: they took evtool down
        outcome: Outcome = Failed("no attempt came to an end", "crashed", final=True)
    else:
        outcome = _call(claimed, stored, handlers)
    ended = world.now()
    age = (ended - claimed.created) / 1000

    if isinstance(outcome, Unavailable):
        pause = while_unavailable(policy, age=age)
        if not isinstance(pause, GiveUp):
            store.wait(claimed, reason=outcome.reason, due=ended + round(pause * 1000))
            return
        outcome = Failed(outcome.reason)
    if isinstance(outcome, Done):
        outcome = _finish(claimed, stored, outcome, store, routes, world, started=started, ended=ended)
    if isinstance(outcome, Failed):
        attempt = Attempt(
            claimed.attempts, started, ended - started, outcome.outcome, outcome.error, outcome.output or None
        )
        pause = after_failure(policy, attempts=used, age=age, final=outcome.final, random=world.random)
        if isinstance(pause, GiveUp):
            store.bury(claimed, attempt, condition=pause.condition)
        else:
            store.retry(claimed, attempt, due=ended + round(pause * 1000))


def _call(claimed: Delivery, stored: Stored, handlers: Handlers) -> Outcome:
    event = identify(stored.raw)
    raw = replayed(event.raw, event.document, claimed.replay) if claimed.replay else event.raw
    return handlers.call(claimed.handler, Call(raw, event.id, event.type, claimed.route, claimed.attempts))


def _finish(
    claimed: Delivery,
    stored: Stored,
    done: Done,
    store: Store,
    routes: Routes,
    world: World,
    *,
    started: int,
    ended: int,
) -> Done | Failed:
    """Records that a delivery is done and lets in what it emitted, in one transaction.

    An emitted event that is not well is the handler's mistake, and trying again would only repeat its work.
    """
    events = []
    for number, emitted in enumerate(done.emitted):
        try:
            event = _event(emitted, number, claimed, stored, ended)
        except ValueError as error:
            return Failed(f"emitted something that is no event: {error}", "bad-result", done.output, final=True)
        try:
            wrong = [finding for finding in world.rules.check(event) if finding.severity == "error"]
        except ConfigError as error:
            return Failed(f"emitted {event.type}, but {error}", "failed", done.output)
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            message = f"emitted {event.type}, which is not valid: {wrong[0].code} {wrong[0].message}{more}"
            return Failed(message, "bad-result", done.output, final=True)
        events.append(event)
    cause = Cause(claimed.seq, stored.root, stored.depth + 1, claimed.replay or None)
    with store.transaction():
        attempt = Attempt(claimed.attempts, started, ended - started, "done", None, done.output or None)
        if store.finish(claimed, attempt):
            for event in events:
                accept(event, store=store, routes=routes, now=world.now, cause=cause)
    return done


def _event(emitted: Emitted, number: int, claimed: Delivery, stored: Stored, now: int) -> Event:
    """The event that a handler told. Its id is derived from its cause: the same delivery tells the same event."""
    name = json.dumps([stored.source, stored.id, claimed.route, claimed.handler, claimed.replay, number])
    raw = envelope(
        json.dumps(emitted.detail, ensure_ascii=False, allow_nan=False).encode(),
        type=emitted.type,
        source=emitted.source or claimed.handler,
        id=str(uuid.uuid5(EMITTED_IDS, name)),
        time=emitted.time or rfc3339(now),
        resources=emitted.resources,
        replay=claimed.replay or None,
    )
    return identify(raw)
