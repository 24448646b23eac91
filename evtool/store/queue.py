"""The queue: which deliveries are due, who holds them for how long, and how their attempts end.

A lane is one handler by one route: the lanes take turns, so that none holds up another. A claim counts the attempt and
takes a lease in one transaction, so a crash needs no repair: the lease ends. What is written later carries owner and
attempt, so that a worker that came too late changes nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from evtool.store.rows import Attempt, Delivery, Stored, fits
from evtool.store.store import DELIVERY, EVENT, Store

CHUNK_BYTES = 1 << 20  # of the events of one claim, unless a single one is longer

# What may be claimed. A lease that has ended counts as due; what waits for its handler is taken only if it was due when
# the run had begun: it is looked for once in a run.
DUE = "due IS NOT NULL AND (state <> 'waiting' OR due <= :begun)"
OF_CHAIN = (
    " AND event IN (SELECT seq FROM event WHERE seq = :root OR root = :root) AND (:replay IS NULL OR replay = :replay)"
)
IN_LANE = " AND handler = :handler AND route = :route"
IN_LANE_OF_CHAIN = IN_LANE.replace("handler =", "+handler =").replace("route =", "+route =") + OF_CHAIN  # by its events
THESE = "IN (SELECT value FROM json_each(:seqs))"


class Chain(NamedTuple):
    """The deliveries that are meant when not all are: of an event and what it led to, in one replay perhaps."""

    root: int
    replay: str | None = None


class Lane(NamedTuple):
    """One handler by one route, and when the first of its deliveries is due."""

    handler: str
    route: str
    due: int

    def wrong(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        return None if fits(self) else f"a delivery to {self.handler!r} by {self.route!r} is due {self.due!r}"


class Candidate(NamedTuple):
    """A delivery that may be claimed, the attempt that this would be, and how long its event is."""

    seq: int
    attempt: int
    length: int

    def wrong(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        return None if fits(self) else f"delivery number {self.seq}: its next attempt would be {self.attempt!r}"


class Claim(NamedTuple):
    """A delivery that is ours until its lease ends, and its event."""

    delivery: Delivery
    event: Stored


class Ending(NamedTuple):
    """What becomes of a claimed delivery. Without an attempt none was made: it is taken back."""

    claimed: Delivery
    state: str
    due: int | None
    error: str | None = None
    condition: str | None = None
    attempt: Attempt | None = None
    forgiven: bool = False  # whether the attempt counts for no limit

    @property
    def delivery(self) -> Delivery:
        """The delivery as this leaves it."""
        return self.claimed._replace(
            state=self.state,
            due=self.due,
            error=self.error,
            condition=self.condition,
            attempts=self.claimed.attempts - (self.attempt is None),
            forgiven=self.claimed.forgiven + self.forgiven,
            owner=None,
            duration_ms=self.attempt.duration_ms if self.attempt else self.claimed.duration_ms,
        )


def lanes(store: Store, chain: Chain | None = None, *, begun: int) -> Iterator[Lane]:
    """The lanes that have something to deliver, now or later."""
    if chain:
        query = f"SELECT handler, route, min(due) FROM delivery WHERE {DUE}{OF_CHAIN} GROUP BY handler, route"
        yield from store.read(Lane, store.rows(query, **_values(chain, begun=begun)))
        return
    lane = Lane("", "", 0)
    while found := store.rows(  # from one lane to the next by the index: no lane is read to its end
        "SELECT handler, route, due FROM delivery WHERE due IS NOT NULL AND (handler, route) > (:handler, :route)"
        " ORDER BY handler, route LIMIT 1",
        handler=lane.handler,
        route=lane.route,
    ):
        [lane] = store.read(Lane, found)
        if (due := first_due(store, lane, begun=begun)) is not None:
            yield lane._replace(due=due)


def first_due(store: Store, lane: Lane, chain: Chain | None = None, *, begun: int) -> int | None:
    """When the first delivery of a lane is due."""
    query = f"SELECT due FROM delivery WHERE {DUE}{IN_LANE_OF_CHAIN if chain else IN_LANE} ORDER BY due LIMIT 1"
    found = store.rows(query, **_values(chain, begun=begun), handler=lane.handler, route=lane.route)
    return store.read(Lane, [(*lane[:2], *row) for row in found])[0].due if found else None


def claim(
    store: Store,
    lane: Lane,
    chain: Chain | None = None,
    *,
    now: int,
    begun: int,
    owner: str,
    lease: int,
    most: int,
    last: int,
) -> list[Claim]:
    """Takes up to `most` deliveries that have been due longest: the attempt is counted, they are ours for `lease` ms.

    One that `last` attempts would have been made of is taken alone: if others before it took evtool down, it must not
    be lost without having been called.
    """
    values: dict[str, int | str | None] = {
        "now": now,
        "begun": begun,
        "owner": owner,
        "until": now + lease,
        "most": most,
    }
    values |= _values(chain) | {"handler": lane.handler, "route": lane.route}
    these = IN_LANE_OF_CHAIN if chain else IN_LANE
    candidates = store.rows(
        "SELECT seq, attempts - forgiven + 1,"
        " coalesce((SELECT length(raw) FROM event WHERE event.seq = delivery.event), 0)"
        f" FROM delivery WHERE {DUE}{these} AND due <= :now ORDER BY due, seq LIMIT :most",
        **values,
    )
    values["seqs"] = json.dumps(_together(store.read(Candidate, candidates), last))
    store.rows(
        "UPDATE delivery SET state = 'leased', attempts = attempts + 1, owner = :owner, due = :until"
        f" WHERE seq {THESE}",
        **values,
    )
    store.rows(
        f"INSERT INTO attempt (delivery, number, started) SELECT seq, attempts, :now FROM delivery WHERE seq {THESE}",
        **values,
    )
    return _claims(store, values["seqs"])


def held(store: Store, owner: str, attempts: Mapping[int, int]) -> dict[int, Claim]:
    """The deliveries of these numbers that an owner still has, in these attempts."""
    leased = store.rows(
        f"SELECT seq, attempts FROM delivery WHERE seq {THESE} AND owner = :owner",
        seqs=json.dumps([*attempts]),
        owner=owner,
    )
    seqs = [seq for seq, attempt in leased if attempt == attempts[seq]]
    return {claim.delivery.seq: claim for claim in _claims(store, json.dumps(seqs))}


def _claims(store: Store, seqs: int | str | None) -> list[Claim]:
    """The deliveries of these numbers, in JSON, with their events."""
    delivery = ", ".join(f"delivery.{column.strip()}" for column in DELIVERY.split(","))
    rows = store.rows(
        f"SELECT {delivery}, claimed.* FROM delivery LEFT JOIN (SELECT {EVENT} FROM event) AS claimed"
        f" ON claimed.seq = delivery.event WHERE delivery.seq {THESE} ORDER BY delivery.seq",
        seqs=seqs,
    )
    width = len(Delivery._fields)
    deliveries = store.read(Delivery, (row[:width] for row in rows))
    events = store.read(Stored, ((row[1], *row[width + 1 :]) for row in rows))  # row[1] is the event's number
    return [*map(Claim, deliveries, events)]


def _together(candidates: Sequence[Candidate], last: int) -> list[int]:
    """The first of the candidates that may be claimed together."""
    chosen: list[int] = []
    size = 0
    for seq, attempt, length in candidates:
        size += length
        if chosen and (attempt >= last or size > CHUNK_BYTES):
            break
        chosen.append(seq)
        if attempt >= last:
            break
    return chosen


def settle(store: Store, endings: Sequence[Ending]) -> set[int]:
    """Writes down how attempts ended: the numbers of the deliveries whose lease was still ours. No other is changed."""
    with store.transaction():
        ours = {
            seq
            for (seq,) in store.each(
                "UPDATE delivery SET state = ?, due = ?, error = ?, condition = ?, duration_ms = ?, attempts = ?,"
                " forgiven = ?, owner = NULL WHERE seq = ? AND owner = ? AND attempts = ? RETURNING seq",
                [_settled(ending) for ending in endings],
            )
        }
        held = [ending for ending in endings if ending.claimed.seq in ours]
        store.each(
            "UPDATE attempt SET duration_ms = ?, outcome = ?, error = ?, output = ?, code = ?"
            " WHERE delivery = ? AND number = ?",
            [(*ended.attempt[2:], ended.claimed.seq, ended.claimed.attempts) for ended in held if ended.attempt],
        )
        store.each(
            "DELETE FROM attempt WHERE delivery = ? AND number = ?",
            [(ended.claimed.seq, ended.claimed.attempts) for ended in held if not ended.attempt],
        )
        return ours


def _settled(ending: Ending) -> tuple[object, ...]:
    """The values of the statement that ends a lease."""
    was, state, due, error, condition, attempt, forgiven = ending
    duration = attempt.duration_ms if attempt else was.duration_ms
    written = (state, due, error, condition, duration, was.attempts - (attempt is None), was.forgiven + forgiven)
    return (*written, was.seq, was.owner, was.attempts)


def release(store: Store, *, now: int, longest: int, pause: int) -> None:
    """Makes due now what would be so earlier if the clock had not been set back since.

    That are leases that last longer than any would, `longest` ms, pauses that are longer than any, `pause` ms, and what
    no attempt that counts was made of.
    """
    with store.transaction():
        store.rows(
            "UPDATE delivery SET due = ?1 WHERE due > ?1 AND (state = 'leased' AND due > ?1 + ?2"
            " OR state = 'ready' AND (attempts = forgiven OR due > ?1 + ?3))",
            now,
            longest,
            pause,
        )


def hurry(store: Store, *, now: int, failed: bool = False) -> None:
    """Makes what waits for its handler due now: the handler may be back, and looking costs no attempt.

    With `failed` also what is to be tried again later.
    """
    states = "('waiting', 'ready')" if failed else "('waiting')"
    with store.transaction():
        store.rows(f"UPDATE delivery SET due = ?1 WHERE state IN {states} AND due IS NOT NULL AND due > ?1", now)


def later(store: Store, state: str) -> tuple[int, int]:
    """How many deliveries in a state are due some time, and when the first is, if there is one."""
    found = store.rows("SELECT count(*), min(due) FROM delivery WHERE due IS NOT NULL AND state = ?", state)
    count, first = found[0]
    return count, first or 0


def _values(chain: Chain | None, **values: int | str | None) -> dict[str, int | str | None]:
    """The values of a statement by their names."""
    return {**values, **(chain._asdict() if chain else {})}
