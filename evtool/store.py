"""The store: the durable log of events, and the queue of their deliveries.

Every change is one BEGIN IMMEDIATE transaction that is on the disk when it returns. An event and its deliveries are
kept together; an outcome and the events that it emitted, too. A claim counts the attempt and takes a lease in one
statement, so a crash needs no repair: the lease ends. What is written later carries owner and attempt, so that a worker
that came too late changes nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from evtool.database import Database
from evtool.event import Event
from evtool.stored import Attempt, Cause, Delivery, Filter, Kept, Planned, Stored, event_time

PAGE = 500  # rows read at a time: no cursor stays open while somebody works with them


EVENT = "seq, id, type, source, time, stored_at, lower(hex(sha256)), raw, root, depth, cause, replay"
DELIVERY = (
    "seq, event, route, handler, replay, state, attempts, forgiven, created, due, owner, duration_ms, error, condition"
)


class Store(Database):
    """The database with its words: events, deliveries, attempts."""

    # --- events ------------------------------------------------------------------------------------------------------

    def keep(self, event: Event, deliveries: Sequence[Planned], *, now: int, cause: Cause | None = None) -> Kept:
        """Keeps an event once, with its deliveries. The same (source, id) again changes nothing."""
        digest = hashlib.sha256(event.raw).digest()
        with self.transaction():
            there = self.rows("SELECT seq, sha256 FROM event WHERE source = ? AND id = ?", event.source, event.id)
            if there:
                status = "duplicate" if there[0][1] == digest else "conflict"
                return Kept(there[0][0], status, there[0][1].hex(), digest.hex())
            root, depth, delivery, replay = (
                (cause.root, cause.depth, cause.delivery, cause.replay) if cause else (0, 0, None, None)
            )
            seq = self.rows(
                "INSERT INTO event (source, id, type, time, stored_at, sha256, raw, root, depth, cause, replay)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
                event.source,
                event.id,
                event.type,
                event_time(event),
                now,
                digest,
                event.raw,
                root,
                depth,
                delivery,
                replay,
            )[0][0]
            if cause is None:
                self.rows("UPDATE event SET root = seq WHERE seq = ?", seq)
            self.plan(seq, deliveries, now=now, replay=replay or "")
            return Kept(seq, "stored", digest.hex(), digest.hex())

    def plan(self, event: int, deliveries: Sequence[Planned], *, now: int, replay: str = "") -> None:
        """Adds deliveries of a stored event, due now. One that is there already stays as it is."""
        with self.transaction():
            for route, handler, error, condition in deliveries:
                state, due = ("ready", now) if error is None else ("dead", None)
                self.rows(
                    "INSERT INTO delivery (event, route, handler, replay, state, created, due, error, condition)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    event,
                    route,
                    handler,
                    replay,
                    state,
                    now,
                    due,
                    error,
                    condition,
                )

    def event(self, seq: int) -> Stored:
        """A stored event by its number."""
        return Stored(*self.rows(f"SELECT {EVENT} FROM event WHERE seq = ?", seq)[0])

    def events(self, wanted: Filter = Filter(), *, newest: int | None = None) -> Iterator[Stored]:  # noqa: B008
        """The events that a filter lets through, in the order in which they were stored, read in pages.

        With `newest` only that many of the last ones.
        """
        where, values = clause(wanted)
        after = 0
        if newest is not None:
            last = self.rows(
                f"SELECT seq FROM event WHERE {where} ORDER BY seq DESC LIMIT 1 OFFSET ?",
                *values,
                newest,
            )
            after = last[0][0] if last else 0
        while rows := self.rows(
            f"SELECT {EVENT} FROM event WHERE {where} AND seq > ? ORDER BY seq LIMIT ?",
            *values,
            after,
            PAGE,
        ):
            yield from (Stored(*row) for row in rows)
            after = rows[-1][0]

    def last(self) -> int:
        """The number of the event that was stored last; 0 when there is none."""
        found: int = self.rows("SELECT coalesce(max(seq), 0) FROM event")[0][0]
        return found

    def find(self, source: str, id: str) -> Stored | None:  # noqa: A002  (the column's name)
        """The event with this key."""
        rows = self.rows(f"SELECT {EVENT} FROM event WHERE source = ? AND id = ?", source, id)
        return Stored(*rows[0]) if rows else None

    def effects(self, event: int) -> list[Stored]:
        """The events that the deliveries of an event emitted."""
        query = f"SELECT {EVENT} FROM event WHERE cause IN (SELECT seq FROM delivery WHERE event = ?) ORDER BY seq"
        return [Stored(*row) for row in self.rows(query, event)]

    def emitted_by(self, delivery: int) -> list[Stored]:
        """The events that one delivery emitted."""
        return [Stored(*row) for row in self.rows(f"SELECT {EVENT} FROM event WHERE cause = ? ORDER BY seq", delivery)]

    def chain(self, root: int) -> list[Stored]:
        """A root event and everything it led to, in the order in which it was stored."""
        return [Stored(*row) for row in self.rows(f"SELECT {EVENT} FROM event WHERE root = ? ORDER BY seq", root)]

    # --- deliveries --------------------------------------------------------------------------------------------------

    def deliveries(self, event: int, *, replay: str | None = None) -> list[Delivery]:
        """The deliveries of an event; with `replay` only those of that replay ('' is the first publication)."""
        query = f"SELECT {DELIVERY} FROM delivery WHERE event = ?1 AND (?2 IS NULL OR replay = ?2) ORDER BY seq"
        return [Delivery(*row) for row in self.rows(query, event, replay)]

    def delivery(self, seq: int) -> Delivery:
        """A delivery by its number."""
        return Delivery(*self.rows(f"SELECT {DELIVERY} FROM delivery WHERE seq = ?", seq)[0])

    def knows_replay(self, name: str) -> bool:
        """Whether a replay of this name has made deliveries before."""
        return bool(self.rows("SELECT 1 FROM delivery WHERE replay = ? LIMIT 1", name))

    def attempts(self, delivery: int) -> list[Attempt]:
        """The history of a delivery."""
        columns = "number, started, duration_ms, outcome, error, output, code"
        query = f"SELECT {columns} FROM attempt WHERE delivery = ? ORDER BY number"
        return [Attempt(*row) for row in self.rows(query, delivery)]

    def states(self, event: int) -> dict[str, int]:
        """How many deliveries of an event are in which state."""
        return dict(self.rows("SELECT state, count(*) FROM delivery WHERE event = ? GROUP BY state ORDER BY 1", event))

    def claim(
        self, *, now: int, owner: str, lease: int, begun: int, root: int | None = None, replay: str | None = None
    ) -> Delivery | None:
        """Takes the delivery that has been due longest: its attempt is counted, and it is ours for `lease` ms.

        A lease that has ended counts as due. What waits for its handler is taken only if it was due when the run had
        `begun`: it is looked for once in a run. `root` limits it to one chain of events, `replay` to one replay.
        """
        chain = "" if root is None else "AND event IN (SELECT seq FROM event WHERE root = ?4)"
        with self.transaction():
            rows = self.rows(
                "UPDATE delivery SET state = 'leased', attempts = attempts + 1, owner = ?1, due = ?2 + ?3 WHERE seq = ("
                "SELECT seq FROM delivery WHERE due <= ?2 AND (state <> 'waiting' OR due <= ?6)"
                f" AND (?5 IS NULL OR replay = ?5) {chain} ORDER BY due, seq LIMIT 1) RETURNING {DELIVERY}",
                *(owner, now, lease, root, replay, begun),
            )
            if not rows:
                return None
            claimed = Delivery(*rows[0])
            self.rows(
                "INSERT INTO attempt (delivery, number, started) VALUES (?, ?, ?)", claimed.seq, claimed.attempts, now
            )
            return claimed

    def release(self, *, now: int, longest: int) -> None:
        """Ends leases that last longer than any would, `longest` ms: the clock was set back since they were taken."""
        with self.transaction():
            self.rows("UPDATE delivery SET due = ?1 WHERE state = 'leased' AND due > ?1 + ?2", now, longest)

    def hurry(self, *, now: int, failed: bool = False) -> None:
        """Makes what waits for its handler due now: the handler may be back, and looking costs no attempt.

        With `failed` also what is to be tried again later.
        """
        with self.transaction():
            states = "('waiting', 'ready')" if failed else "('waiting')"
            self.rows(f"UPDATE delivery SET due = ?1 WHERE state IN {states} AND due > ?1", now)

    def finish(self, claimed: Delivery, attempt: Attempt) -> bool:
        """The delivery is done. False when the lease was lost meanwhile: then nothing is changed."""
        return self._settle(claimed, attempt, state="done", due=None, error=None, condition=None)

    def retry(self, claimed: Delivery, attempt: Attempt, *, due: int) -> bool:
        """The attempt failed; the delivery is tried again when due. False when the lease was lost."""
        return self._settle(claimed, attempt, state="ready", due=due, error=attempt.error, condition=None)

    def bury(self, claimed: Delivery, attempt: Attempt, *, condition: str) -> bool:
        """The delivery is given up and becomes a dead letter. False when the lease was lost."""
        return self._settle(claimed, attempt, state="dead", due=None, error=attempt.error, condition=condition)

    def wait(self, claimed: Delivery, *, reason: str, due: int) -> bool:
        """The handler is not available: the attempt is taken back, the delivery waits. False if the lease was lost."""
        with self.transaction():
            if not self._fenced(claimed, "waiting", due, reason, None, None, claimed.attempts - 1):
                return False
            self.rows("DELETE FROM attempt WHERE delivery = ? AND number = ?", claimed.seq, claimed.attempts)
            return True

    def _settle(
        self,
        claimed: Delivery,
        attempt: Attempt,
        *,
        state: str,
        due: int | None,
        error: str | None,
        condition: str | None,
    ) -> bool:
        with self.transaction():
            if not self._fenced(claimed, state, due, error, condition, attempt.duration_ms, claimed.attempts):
                return False
            self.rows(
                "UPDATE attempt SET duration_ms = ?, outcome = ?, error = ?, output = ?, code = ?"
                " WHERE delivery = ? AND number = ?",
                attempt.duration_ms,
                attempt.outcome,
                attempt.error,
                attempt.output,
                attempt.code,
                claimed.seq,
                claimed.attempts,
            )
            return True

    def _fenced(
        self,
        claimed: Delivery,
        state: str,
        due: int | None,
        error: str | None,
        condition: str | None,
        duration_ms: int | None,
        attempts: int,
    ) -> bool:
        """Ends the lease, if it is still this one's."""
        return bool(
            self.rows(
                "UPDATE delivery SET state = ?, due = ?, error = ?, condition = ?, duration_ms = ?, attempts = ?,"
                " owner = NULL WHERE seq = ? AND owner = ? AND attempts = ? RETURNING seq",
                state,
                due,
                error,
                condition,
                duration_ms,
                attempts,
                claimed.seq,
                claimed.owner,
                claimed.attempts,
            )
        )


def clause(wanted: Filter) -> tuple[str, list[Any]]:
    """A filter as the condition of a query and its values."""
    tests = {
        "coalesce(time, stored_at) >= ?": wanted.since,
        "coalesce(time, stored_at) < ?": wanted.until,
        "seq <= ?": wanted.last,
        "type = ?": wanted.type,
        "source = ?": wanted.source,
        "seq IN (SELECT event FROM delivery WHERE route = ?)": wanted.route,
        "seq IN (SELECT event FROM delivery WHERE state = ?)": wanted.state,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    ids = f"id IN ({','.join('?' * len(wanted.ids))})" if wanted.ids else "1"
    return " AND ".join([*used, ids]), [*used.values(), *wanted.ids]
