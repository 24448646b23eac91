"""The delivery queue: finds due deliveries, leases them to workers, and records the result of each attempt.

A lane is one handler by one route: the lanes take turns, so that none holds up another. A claim counts the attempt and
takes a lease in one transaction, so a crash needs no repair: the lease ends. What is written later carries owner and
attempt, so that a worker that came too late changes nothing.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from evtool.store.rows import Attempt, Delivery, StoredEvent, has_expected_types
from evtool.store.store import DELIVERY, EVENT, Store

MAX_CLAIM_BYTES = 1 << 20  # of the events of one claim, unless a single one is longer

# What may be claimed. A lease that has ended counts as due; what waits for its handler is taken only if it was due when
# the run had begun: it is looked for once in a run.
DUE = "due IS NOT NULL AND (state <> 'waiting' OR due <= :run_start)"
IN_ROOTS = "IN (SELECT value FROM json_each(:roots))"
OF_CHAINS = (
    f" AND event IN (SELECT value FROM json_each(:roots) UNION ALL SELECT seq FROM event WHERE root {IN_ROOTS})"
    " AND (:replay IS NULL OR delivery.replay = :replay)"
)
IN_LANE = " AND handler = :handler AND route = :route"
IN_SEQS = "IN (SELECT value FROM json_each(:seqs))"


class Chains(NamedTuple):
    """The deliveries that are meant when not all are: of some events and what they led to, in one replay perhaps.

    There may be fewer roots while a run goes on: those that are gone are left alone.
    """

    roots: Collection[int]
    replay: str | None = None


class Lane(NamedTuple):
    """One handler by one route, and when the first of its deliveries is due.

    `seqs` are the numbers of the deliveries, in JSON, when those of some chains are meant.
    """

    handler: str
    route: str
    due: int
    seqs: str | None = None

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


def find_lanes(store: Store, chains: Chains | None = None, *, run_start: int) -> Iterator[Lane]:
    """The lanes that have something to deliver, now or later."""
    if chains:
        query = (
            "SELECT handler, route, min(due), json_group_array(seq) FROM delivery"
            f" WHERE {DUE}{OF_CHAINS} GROUP BY handler, route"
        )
        roots = json.dumps([*chains.roots])
        yield from store.decode(Lane, store.execute(query, roots=roots, replay=chains.replay, run_start=run_start))
        return
    lane = Lane("", "", 0)
    while rows := store.execute(  # from one lane to the next by the index: no lane is read to its end
        "SELECT handler, route, due FROM delivery WHERE due IS NOT NULL AND (handler, route) > (:handler, :route)"
        " ORDER BY handler, route LIMIT 1",
        handler=lane.handler,
        route=lane.route,
    ):
        [lane] = store.decode(Lane, rows)
        due = first_due(store, lane, run_start=run_start)
        if due is not None:
            yield lane._replace(due=due)


def find_open_roots(store: Store, roots: Iterable[int], *, now: int, run_start: int, owner: str) -> set[int]:
    """The roots of the chains in which a delivery is due, or leased to `owner`."""
    rows = store.execute(
        "SELECT DISTINCT coalesce(root, event.seq) FROM delivery JOIN event ON event.seq = delivery.event"
        f" WHERE {DUE}{OF_CHAINS} AND (due <= :now OR owner = :owner)",
        roots=json.dumps([*roots]),
        replay=None,
        now=now,
        run_start=run_start,
        owner=owner,
    )
    return {root for (root,) in rows}


def first_due(store: Store, lane: Lane, *, run_start: int) -> int | None:
    """When the first delivery of a lane is due."""
    condition, values = _select_lane(lane)
    query = f"SELECT due FROM delivery WHERE {DUE}{condition} ORDER BY due LIMIT 1"
    rows = store.execute(query, **values, run_start=run_start)
    if rows:
        return store.decode(Lane, [(*lane[:2], *row) for row in rows])[0].due
    return None


def _select_lane(lane: Lane) -> tuple[str, dict[str, int | str | None]]:
    """The condition for the deliveries of a lane, and its values."""
    if lane.seqs is not None:
        return f" AND seq {IN_SEQS}", {"seqs": lane.seqs}
    return IN_LANE, {"handler": lane.handler, "route": lane.route}


def claim(
    store: Store,
    lane: Lane,
    *,
    now: int,
    run_start: int,
    owner: str,
    lease_ms: int,
    limit: int,
    max_attempts: int,
    is_first: bool = True,
) -> list[Claim]:
    """Takes up to `limit` deliveries that have been due longest: the attempt is counted, they are ours for `lease_ms`.

    A delivery whose attempt would be number `max_attempts` is taken alone, and only if the claim `is_first` of a batch:
    if others before it took evtool down, it must not be lost without having been called.
    """
    values: dict[str, int | str | None] = {
        "now": now,
        "run_start": run_start,
        "owner": owner,
        "until": now + lease_ms,
        "limit": limit,
    }
    lane_condition, lane_values = _select_lane(lane)
    candidates = store.execute(
        "SELECT seq, attempts - forgiven + 1,"
        " coalesce((SELECT length(raw) FROM event WHERE event.seq = delivery.event), 0)"
        f" FROM delivery WHERE {DUE}{lane_condition} AND due <= :now ORDER BY due, seq LIMIT :limit",
        **values,
        **lane_values,
    )
    seqs = _choose_batch(store.decode(Candidate, candidates), max_attempts, is_first=is_first)
    if not seqs:
        return []
    values["seqs"] = json.dumps(seqs)
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


def _choose_batch(candidates: Sequence[Candidate], max_attempts: int, *, is_first: bool) -> list[int]:
    """The first of the candidates that may be claimed together."""
    seqs: list[int] = []
    size = 0
    for seq, attempt, length in candidates:
        size += length
        if seqs and size > MAX_CLAIM_BYTES:
            break
        if attempt >= max_attempts and (seqs or not is_first):
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
    if attempt:
        duration = attempt.duration_ms
    else:
        duration = delivery.duration_ms
    row = (state, due, error, condition, duration, delivery.attempts - (attempt is None), delivery.forgiven + forgiven)
    return (*row, delivery.seq, delivery.owner, delivery.attempts)
