"""The delivery queue: finds due deliveries, leases them to workers, and records the result of each attempt.

A lane is the deliveries of one route to one handler. Lanes take turns, so that none delays another. A claim counts the
attempt and takes the lease in one transaction. So a crash needs no repair: the lease ends, and the delivery is due
again. Example of a worker that is killed:

    12:00:00   A claims delivery 7: state leased, owner A, attempt 1, due at 12:01:30
    12:00:05   A is killed
    12:01:30   the lease has ended; B claims delivery 7: owner B, attempt 2
    12:01:40   if A was only stopped and settles 7 now: its owner and attempt do not match, and nothing changes
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from evtool.store.rows import Attempt, Delivery, StoredEvent, has_expected_types
from evtool.store.store import DELIVERY, EVENT, Store

# Bytes of the events of one claim at most, unless a single event is longer.
MAX_CLAIM_BYTES = 1 << 20

# The deliveries that may be claimed. A lease that has ended counts as due. A delivery that waits for its handler is
# claimed once in a run: only if it was due when the run started.
DUE = "due IS NOT NULL AND (state <> 'waiting' OR due <= :run_start)"
IN_ROOTS = "IN (SELECT value FROM json_each(:roots))"
OF_CHAINS = (
    f" AND event IN (SELECT value FROM json_each(:roots) UNION ALL SELECT seq FROM event WHERE root {IN_ROOTS})"
    " AND (:replay IS NULL OR delivery.replay = :replay)"
)
IN_LANE = " AND handler = :handler AND route = :route"
IN_SEQS = "IN (SELECT value FROM json_each(:seqs))"


class Chains(NamedTuple):
    """Selects the deliveries of some chains of events, by the numbers of their roots, and perhaps of one replay only.

    The caller may remove roots during a run. Their deliveries are no longer claimed.
    """

    roots: Collection[int]
    replay: str | None = None


class Lane(NamedTuple):
    """The deliveries of one route to one handler, and the time in ms when the first of them is due.

    `seqs` is a JSON array with the numbers of the deliveries, if only those of some chains are selected.
    """

    handler: str
    route: str
    due: int
    seqs: str | None = None

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""
        if has_expected_types(self):
            return None
        return f"a delivery to {self.handler!r} by {self.route!r} is due {self.due!r}"


class Candidate(NamedTuple):
    """A delivery that may be claimed, the number of the attempt that this would be, and the bytes of its event."""

    seq: int
    attempt: int
    length: int

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""
        if has_expected_types(self):
            return None
        return f"delivery number {self.seq}: its next attempt would be {self.attempt!r}"


class Claim(NamedTuple):
    """A delivery that is leased to this worker, and its event."""

    delivery: Delivery
    event: StoredEvent


class DeliveryUpdate(NamedTuple):
    """The new state of a claimed delivery. Without an attempt the handler was not called, and the claim is undone.

    `forgiven` says that no limit counts the attempt.
    """

    delivery: Delivery
    state: str
    due: int | None
    error: str | None = None
    condition: str | None = None
    attempt: Attempt | None = None
    forgiven: bool = False

    @property
    def result(self) -> Delivery:
        """The delivery after this update."""
        duration_ms, attempts = self.delivery.duration_ms, self.delivery.attempts
        if self.attempt:
            duration_ms = self.attempt.duration_ms
        else:
            attempts -= 1
        return self.delivery._replace(
            state=self.state,
            due=self.due,
            error=self.error,
            condition=self.condition,
            attempts=attempts,
            forgiven=self.delivery.forgiven + self.forgiven,
            owner=None,
            duration_ms=duration_ms,
        )


def find_lanes(store: Store, chains: Chains | None = None, *, run_start: int) -> Iterator[Lane]:
    """Yields the lanes with deliveries that are due now or later."""
    if chains:
        query = (
            "SELECT handler, route, min(due), json_group_array(seq) FROM delivery"
            f" WHERE {DUE}{OF_CHAINS} GROUP BY handler, route"
        )
        roots = json.dumps(list(chains.roots))
        yield from store.decode(Lane, store.execute(query, roots=roots, replay=chains.replay, run_start=run_start))
        return
    lane = _next_lane(store, Lane("", "", 0))
    while lane:
        due = first_due(store, lane, run_start=run_start)
        if due is not None:
            yield lane._replace(due=due)
        lane = _next_lane(store, lane)


def _next_lane(store: Store, lane: Lane) -> Lane | None:
    """The lane after this one. The index leads from lane to lane, so the deliveries of a lane are not all read."""
    rows = store.execute(
        "SELECT handler, route, due FROM delivery WHERE due IS NOT NULL AND (handler, route) > (:handler, :route)"
        " ORDER BY handler, route LIMIT 1",
        handler=lane.handler,
        route=lane.route,
    )
    if not rows:
        return None
    [following] = store.decode(Lane, rows)
    return following


def find_open_roots(store: Store, roots: Iterable[int], *, now: int, run_start: int, owner: str) -> set[int]:
    """Returns the roots of the chains in which a delivery is due, or leased to `owner`."""
    rows = store.execute(
        "SELECT DISTINCT coalesce(root, event.seq) FROM delivery JOIN event ON event.seq = delivery.event"
        f" WHERE {DUE}{OF_CHAINS} AND (due <= :now OR owner = :owner)",
        roots=json.dumps(list(roots)),
        replay=None,
        now=now,
        run_start=run_start,
        owner=owner,
    )
    return {root for (root,) in rows}


def first_due(store: Store, lane: Lane, *, run_start: int) -> int | None:
    """Returns the time in ms when the first delivery of a lane is due; None if the lane is empty."""
    condition, values = _select_lane(lane)
    query = f"SELECT due FROM delivery WHERE {DUE}{condition} ORDER BY due LIMIT 1"
    for (due,) in store.execute(query, **values, run_start=run_start):
        [found] = store.decode(Lane, [(lane.handler, lane.route, due)])
        return found.due
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
    """Claims up to `limit` deliveries, those that have been due longest first, and counts the attempts.

    They are leased to `owner` for `lease_ms`. A delivery whose attempt would be number `max_attempts` is claimed alone,
    and only if `is_first`, that is if its call would be the first of a batch: a call before it in the batch might end
    evtool, and then the last attempt would be used up without a call.
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
    """Returns those deliveries that are still leased to `owner` for the given attempts, by number."""
    rows = store.execute(
        f"SELECT seq, attempts FROM delivery WHERE seq {IN_SEQS} AND owner = :owner",
        seqs=json.dumps(list(attempts)),
        owner=owner,
    )
    seqs = [seq for seq, attempt in rows if attempt == attempts[seq]]
    return {claim.delivery.seq: claim for claim in _read_claims(store, json.dumps(seqs))}


def _read_claims(store: Store, seqs: int | str | None) -> list[Claim]:
    """Reads the deliveries whose numbers are in a JSON array, with their events."""
    delivery = ", ".join(f"delivery.{column.strip()}" for column in DELIVERY.split(","))
    rows = store.execute(
        f"SELECT {delivery}, claimed.* FROM delivery LEFT JOIN (SELECT {EVENT} FROM event) AS claimed"
        f" ON claimed.seq = delivery.event WHERE delivery.seq {IN_SEQS} ORDER BY delivery.seq",
        seqs=seqs,
    )
    width, event_number = len(Delivery._fields), Delivery._fields.index("event")
    deliveries = store.decode(Delivery, (row[:width] for row in rows))
    # If the event of a delivery is missing, its columns are NULL. The number from the delivery still names it in the
    # message about the damage.
    events = store.decode(StoredEvent, (row[event_number : event_number + 1] + row[width + 1 :] for row in rows))
    return list(map(Claim, deliveries, events))


def _choose_batch(candidates: Sequence[Candidate], max_attempts: int, *, is_first: bool) -> list[int]:
    """Returns the numbers of the first candidates, as many as may be claimed together."""
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
    """Writes the results of attempts, and returns the numbers of the deliveries whose lease was still held.

    A delivery whose lease has ended and that another worker has claimed is not changed.
    """
    with store.transaction():
        rows = store.execute_many(
            "UPDATE delivery SET state = :state, due = :due, error = :error, condition = :condition,"
            " duration_ms = :duration_ms, attempts = :attempts, forgiven = :forgiven, owner = NULL"
            " WHERE seq = :seq AND owner = :claimed_owner AND attempts = :claimed_attempts RETURNING seq",
            [_update_values(update) for update in updates],
        )
        settled_seqs = {seq for (seq,) in rows}
        finished, released = [], []
        for update in updates:
            claimed = {"delivery": update.delivery.seq, "claimed_number": update.delivery.attempts}
            if update.delivery.seq not in settled_seqs:
                continue
            if update.attempt:
                finished.append(update.attempt._asdict() | claimed)
            else:
                released.append(claimed)
        store.execute_many(
            "UPDATE attempt SET duration_ms = :duration_ms, outcome = :outcome, error = :error, output = :output,"
            " code = :code WHERE delivery = :delivery AND number = :claimed_number",
            finished,
        )
        store.execute_many("DELETE FROM attempt WHERE delivery = :delivery AND number = :claimed_number", released)
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


def _update_values(update: DeliveryUpdate) -> dict[str, object]:
    """The values of the statement that ends a lease."""
    claimed = {"claimed_owner": update.delivery.owner, "claimed_attempts": update.delivery.attempts}
    return update.result._asdict() | claimed
