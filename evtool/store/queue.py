"""The delivery queue: finds due deliveries, leases them to workers, and records the result of each attempt.

A lane is one handler by one route: the lanes take turns, so that none holds up another. A claim counts the attempt and
takes a lease in one transaction, so a crash needs no repair: the lease ends. What is written later carries owner and
attempt, so that a worker that came too late changes nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from evtool.store.rows import Attempt, Delivery, StoredEvent, has_expected_types
from evtool.store.store import DELIVERY, EVENT, Store

MAX_CLAIM_BYTES = 1 << 20  # of the events of one claim, unless a single one is longer

# What may be claimed. A lease that has ended counts as due; what waits for its handler is taken only if it was due when
# the run had begun: it is looked for once in a run.
DUE = "due IS NOT NULL AND (state <> 'waiting' OR due <= :run_start)"
OF_CHAIN = (
    " AND event IN (SELECT seq FROM event WHERE seq = :root OR root = :root) AND (:replay IS NULL OR replay = :replay)"
)
IN_LANE = " AND handler = :handler AND route = :route"
IN_LANE_OF_CHAIN = IN_LANE.replace("handler =", "+handler =").replace("route =", "+route =") + OF_CHAIN  # by its events
IN_SEQS = "IN (SELECT value FROM json_each(:seqs))"


class Chain(NamedTuple):
    """The deliveries that are meant when not all are: of an event and what it led to, in one replay perhaps."""

    root: int
    replay: str | None = None


class Lane(NamedTuple):
    """One handler by one route, and when the first of its deliveries is due."""

    handler: str
    route: str
    due: int

    def damage(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        if has_expected_types(self):
            return None
        return f"a delivery to {self.handler!r} by {self.route!r} is due {self.due!r}"


class Candidate(NamedTuple):
    """A delivery that may be claimed, the attempt that this would be, and how long its event is."""

    seq: int
    attempt: int
    length: int

    def damage(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        if has_expected_types(self):
            return None
        return f"delivery number {self.seq}: its next attempt would be {self.attempt!r}"


class Claim(NamedTuple):
    """A delivery that is ours until its lease ends, and its event."""

    delivery: Delivery
    event: StoredEvent


class DeliveryUpdate(NamedTuple):
    """What becomes of a claimed delivery. Without an attempt none was made: it is taken back."""

    delivery: Delivery
    state: str
    due: int | None
    error: str | None = None
    condition: str | None = None
    attempt: Attempt | None = None
    forgiven: bool = False  # whether the attempt counts for no limit

    @property
    def result(self) -> Delivery:
        """The delivery as this leaves it."""
        return self.delivery._replace(
            state=self.state,
            due=self.due,
            error=self.error,
            condition=self.condition,
            attempts=self.delivery.attempts - (self.attempt is None),
            forgiven=self.delivery.forgiven + self.forgiven,
            owner=None,
            duration_ms=self.attempt.duration_ms if self.attempt else self.delivery.duration_ms,
        )


def find_lanes(store: Store, chain: Chain | None = None, *, run_start: int) -> Iterator[Lane]:
    """The lanes that have something to deliver, now or later."""
    if chain:
        query = f"SELECT handler, route, min(due) FROM delivery WHERE {DUE}{OF_CHAIN} GROUP BY handler, route"
        yield from store.decode(Lane, store.execute(query, **_build_parameters(chain, run_start=run_start)))
        return
    lane = Lane("", "", 0)
    while rows := store.execute(  # from one lane to the next by the index: no lane is read to its end
        "SELECT handler, route, due FROM delivery WHERE due IS NOT NULL AND (handler, route) > (:handler, :route)"
        " ORDER BY handler, route LIMIT 1",
        handler=lane.handler,
        route=lane.route,
    ):
        [lane] = store.decode(Lane, rows)
        if (due := first_due(store, lane, run_start=run_start)) is not None:
            yield lane._replace(due=due)


def first_due(store: Store, lane: Lane, chain: Chain | None = None, *, run_start: int) -> int | None:
    """When the first delivery of a lane is due."""
    query = f"SELECT due FROM delivery WHERE {DUE}{IN_LANE_OF_CHAIN if chain else IN_LANE} ORDER BY due LIMIT 1"
    rows = store.execute(query, **_build_parameters(chain, run_start=run_start), handler=lane.handler, route=lane.route)
    return store.decode(Lane, [(*lane[:2], *row) for row in rows])[0].due if rows else None


def claim(
    store: Store,
    lane: Lane,
    chain: Chain | None = None,
    *,
    now: int,
    run_start: int,
    owner: str,
    lease_ms: int,
    limit: int,
    max_attempts: int,
) -> list[Claim]:
    """Takes up to `limit` deliveries that have been due longest: the attempt is counted, they are ours for `lease_ms`.

    A delivery whose attempt would be number `max_attempts` is taken alone: if others before it took evtool down, it
    must not be lost without having been called.
    """
    values: dict[str, int | str | None] = {
        "now": now,
        "run_start": run_start,
        "owner": owner,
        "until": now + lease_ms,
        "limit": limit,
    }
    values |= _build_parameters(chain) | {"handler": lane.handler, "route": lane.route}
    lane_condition = IN_LANE_OF_CHAIN if chain else IN_LANE
    candidates = store.execute(
        "SELECT seq, attempts - forgiven + 1,"
        " coalesce((SELECT length(raw) FROM event WHERE event.seq = delivery.event), 0)"
        f" FROM delivery WHERE {DUE}{lane_condition} AND due <= :now ORDER BY due, seq LIMIT :limit",
        **values,
    )
    values["seqs"] = json.dumps(_choose_batch(store.decode(Candidate, candidates), max_attempts))
    store.execute(
        "UPDATE delivery SET state = 'leased', attempts = attempts + 1, owner = :owner, due = :until"
        f" WHERE seq {IN_SEQS}",
        **values,
    )
    store.execute(
        f"INSERT INTO attempt (delivery, number, started) SELECT seq, attempts, :now FROM delivery WHERE seq {IN_SEQS}",
        **values,
    )
    return _read_claims(store, values["seqs"])


def still_leased(store: Store, owner: str, attempts: Mapping[int, int]) -> dict[int, Claim]:
    """The deliveries of these numbers that an owner still has, in these attempts."""
    rows = store.execute(
        f"SELECT seq, attempts FROM delivery WHERE seq {IN_SEQS} AND owner = :owner",
        seqs=json.dumps([*attempts]),
        owner=owner,
    )
    seqs = [seq for seq, attempt in rows if attempt == attempts[seq]]
    return {claim.delivery.seq: claim for claim in _read_claims(store, json.dumps(seqs))}


def _read_claims(store: Store, seqs: int | str | None) -> list[Claim]:
    """The deliveries of these numbers, in JSON, with their events."""
    delivery = ", ".join(f"delivery.{column.strip()}" for column in DELIVERY.split(","))
    rows = store.execute(
        f"SELECT {delivery}, claimed.* FROM delivery LEFT JOIN (SELECT {EVENT} FROM event) AS claimed"
        f" ON claimed.seq = delivery.event WHERE delivery.seq {IN_SEQS} ORDER BY delivery.seq",
        seqs=seqs,
    )
    width = len(Delivery._fields)
    deliveries = store.decode(Delivery, (row[:width] for row in rows))
    events = store.decode(StoredEvent, ((row[1], *row[width + 1 :]) for row in rows))  # row[1] is the event's number
    return [*map(Claim, deliveries, events)]


def _choose_batch(candidates: Sequence[Candidate], max_attempts: int) -> list[int]:
    """The first of the candidates that may be claimed together."""
    seqs: list[int] = []
    size = 0
    for seq, attempt, length in candidates:
        size += length
        if seqs and (attempt >= max_attempts or size > MAX_CLAIM_BYTES):
            break
        seqs.append(seq)
        if attempt >= max_attempts:
            break
    return seqs


def settle(store: Store, updates: Sequence[DeliveryUpdate]) -> set[int]:
    """Writes down how attempts ended: the numbers of the deliveries whose lease was still ours. No other is changed."""
    with store.transaction():
        settled_seqs = {
            seq
            for (seq,) in store.execute_many(
                "UPDATE delivery SET state = ?, due = ?, error = ?, condition = ?, duration_ms = ?, attempts = ?,"
                " forgiven = ?, owner = NULL WHERE seq = ? AND owner = ? AND attempts = ? RETURNING seq",
                [_update_values(update) for update in updates],
            )
        }
        settled = [update for update in updates if update.delivery.seq in settled_seqs]
        store.execute_many(
            "UPDATE attempt SET duration_ms = ?, outcome = ?, error = ?, output = ?, code = ?"
            " WHERE delivery = ? AND number = ?",
            [
                (*update.attempt[2:], update.delivery.seq, update.delivery.attempts)
                for update in settled
                if update.attempt
            ],
        )
        store.execute_many(
            "DELETE FROM attempt WHERE delivery = ? AND number = ?",
            [(update.delivery.seq, update.delivery.attempts) for update in settled if not update.attempt],
        )
        return settled_seqs


def add_attempt_note(store: Store, delivery: int, note: str) -> None:
    """Adds a note to the error of the last attempt of a delivery. Its state does not change."""
    with store.transaction():
        store.execute(
            "UPDATE attempt SET error = coalesce(error || '; ', '') || :note WHERE delivery = :delivery AND number ="
            " (SELECT max(number) FROM attempt WHERE delivery = :delivery)",
            delivery=delivery,
            note=note,
        )


def _update_values(update: DeliveryUpdate) -> tuple[object, ...]:
    """The values of the statement that ends a lease."""
    delivery, state, due, error, condition, attempt, forgiven = update
    duration = attempt.duration_ms if attempt else delivery.duration_ms
    row = (state, due, error, condition, duration, delivery.attempts - (attempt is None), delivery.forgiven + forgiven)
    return (*row, delivery.seq, delivery.owner, delivery.attempts)


def repair_due_times(store: Store, *, now: int, max_lease: int, max_pause: int) -> None:
    """Makes due now what would be so earlier if the clock had not been set back since.

    That are leases that last longer than any would, `max_lease` ms, pauses that are longer than any, `max_pause` ms,
    and what no attempt that counts was made of.
    """
    with store.transaction():
        store.execute(
            "UPDATE delivery SET due = ?1 WHERE due > ?1 AND (state = 'leased' AND due > ?1 + ?2"
            " OR state = 'ready' AND (attempts = forgiven OR due > ?1 + ?3))",
            now,
            max_lease,
            max_pause,
        )


def make_due_now(store: Store, *, now: int, include_failed: bool = False) -> None:
    """Makes what waits for its handler due now: the handler may be back, and looking costs no attempt.

    With `include_failed` also what is to be tried again later.
    """
    states = "('waiting', 'ready')" if include_failed else "('waiting')"
    with store.transaction():
        store.execute(f"UPDATE delivery SET due = ?1 WHERE state IN {states} AND due IS NOT NULL AND due > ?1", now)


def next_due(store: Store, state: str) -> tuple[int, int]:
    """How many deliveries in a state are due some time, and when the first is, if there is one."""
    rows = store.execute("SELECT count(*), min(due) FROM delivery WHERE due IS NOT NULL AND state = ?", state)
    count, first = rows[0]
    return count, first or 0


def _build_parameters(chain: Chain | None, **values: int | str | None) -> dict[str, int | str | None]:
    """The values of a statement by their names."""
    return {**values, **(chain._asdict() if chain else {})}
