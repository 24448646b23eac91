"""The queue of deliveries: claims, leases, due times, and settlement by the owner of a lease."""

import tracemalloc
from operator import attrgetter
from pathlib import Path

import pytest

from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.store.dead_letters import DeadLetterFilter, purge, redrive
from evtool.store.due_times import make_due_now, repair_due_times
from evtool.store.queue import (
    Chains,
    DeliveryUpdate,
    claim,
    find_lanes,
    settle,
    still_leased,
)
from evtool.store.rows import Attempt, Cause, NewDelivery
from evtool.store.store import Store
from tests.support.leases import claimed, ended


def event(number: int, detail: bytes = b"{}") -> Event:
    """Returns an event whose id is a number."""
    return parse_event(build_envelope(detail, type="t", source="s", id=str(number), time="2026-11-23T10:00:00Z"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Opens a store with one delivery."""
    store = Store(tmp_path / "store.db")
    store.insert(event(1), [NewDelivery("r", "h")], now=0)
    return store


def test_a_claim_counts_the_attempt_and_hides_the_delivery(store: Store) -> None:
    """No other owner can claim the delivery during the lease. The next claim after its end counts as attempt 2."""
    [first] = claimed(store, now=0, lease=1000)

    assert first.attempts == 1
    assert claimed(store, now=999, owner="other") == []
    assert [each.attempts for each in claimed(store, now=1000, owner="other")] == [2]
    assert [(a.number, a.outcome) for a in store.list_attempts(first.seq)] == [(1, None), (2, None)]


def test_a_worker_whose_lease_has_ended_changes_nothing(store: Store) -> None:
    """Every outcome is checked against owner and attempt."""
    [late] = claimed(store, now=0, owner="late")
    [current] = claimed(store, now=5000, owner="current")

    for state, due in (("done", None), ("ready", 1), ("dead", None), ("waiting", 1)):
        assert not ended(store, late, state, due=due)
    assert store.get_delivery(current.seq).owner == "current"
    assert [attempt.outcome for attempt in store.list_attempts(current.seq)] == [None, None]
    assert ended(store, current, "done")
    assert not ended(store, current, "done")


def test_still_leased_returns_the_claims_that_no_other_owner_has(store: Store) -> None:
    """Both the owner and the number of the attempt must agree."""
    for number in (2, 3):
        store.insert(event(number), [NewDelivery("r", "h")], now=0)
    lost, *kept = claimed(store, now=0, owner="killed", most=3)
    store.execute("UPDATE delivery SET due = 9999 WHERE seq <> ?", lost.seq)
    claimed(store, now=5000, owner="other")
    attempts = {lost.seq: 1, kept[0].seq: 1, kept[1].seq: 2, 99: 1}

    found = still_leased(store, "killed", attempts)
    assert {seq: (claim.delivery, claim.event.id) for seq, claim in found.items()} == {
        kept[0].seq: (kept[0]._replace(due=9999), "2")
    }
    assert [*still_leased(store, "other", attempts)] == []
    assert [*still_leased(store, "other", {lost.seq: 2})] == [lost.seq]


def test_still_leased_reads_no_events_of_finished_deliveries(store: Store) -> None:
    """A long call log must not need memory for deliveries that were settled long ago."""
    for number in range(2, 12):
        store.insert(event(number, b'{"x": "%s"}' % (b"x" * 1_000_000)), [NewDelivery("r", "h")], now=number)
        [delivery] = claimed(store, now=number, owner="owner")
        ended(store, delivery, "done")
    [last] = claimed(store, now=20, owner="owner")
    tracemalloc.start()
    found = still_leased(store, "owner", dict.fromkeys(range(1, 12), 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [*found] == [last.seq]
    assert peak < 5_000_000


def test_numbers_of_purged_deliveries_are_not_reused(store: Store) -> None:
    """Otherwise a late worker could settle a new delivery with the number of the purged one."""
    [late] = claimed(store, now=0)
    [current] = claimed(store, now=5000, owner="other")
    assert ended(store, current, "dead")
    assert len(list(purge(store, DeadLetterFilter(), attrgetter("seq")))) == 1
    store.insert(event(2), [NewDelivery("r", "h")], now=6000)
    [fresh] = claimed(store, now=6000)

    assert (fresh.owner, fresh.attempts) == (late.owner, late.attempts)
    assert not ended(store, late, "done")
    assert store.get_delivery(fresh.seq).state == "leased"


def test_settle_skips_deliveries_with_a_lost_lease(store: Store) -> None:
    """The other deliveries of the same commit are settled."""
    store.insert(event(2), [NewDelivery("r", "h")], now=0)
    both = claimed(store, now=0, most=2)
    [lost] = claimed(store, now=5000, owner="other")

    assert settle(store, [DeliveryUpdate(each, "waiting", 9, "away") for each in both]) == {both[1].seq}
    assert store.get_delivery(lost.seq).owner == "other"
    assert store.get_delivery(both[1].seq).state == "waiting"


@pytest.mark.parametrize(
    ("state", "due", "attempt", "forgiven"),
    [
        ("done", None, Attempt(2, 0, 7, "done", None, "printed"), False),
        ("dead", None, Attempt(2, 0, 7, "failed", "no", None, "1"), False),
        ("ready", 9, Attempt(2, 0, None, "interrupted", "ended", None), True),
        ("waiting", 9, None, False),
    ],
)
def test_the_result_of_an_update_equals_the_stored_delivery(
    store: Store, state: str, due: int | None, attempt: Attempt | None, forgiven: bool
) -> None:
    """Reports use the result and need not read the store again."""
    claimed(store, now=0)
    [delivery] = claimed(store, now=5000, owner="other")
    ending = DeliveryUpdate(delivery, state, due, "why", "Loop" if state == "dead" else None, attempt, forgiven)
    settle(store, [ending])

    assert ending.result == store.get_delivery(delivery.seq)
    assert store.list_attempts(delivery.seq)[1:] == ([attempt._replace(started=5000)] if attempt else [])


def test_a_lease_from_the_future_is_ended(store: Store) -> None:
    """After the clock was set back, such a lease would hold the delivery for years."""
    claimed(store, now=9_000_000, lease=1000)
    repair_due_times(store, now=5000, max_lease=60_000, max_pause=1000)

    assert [each.attempts for each in claimed(store, now=5000, owner="other")] == [2]


@pytest.mark.parametrize(("due", "comes"), [(6000, False), (6001, True)])
def test_a_retry_time_from_the_future_is_repaired(store: Store, due: int, comes: bool) -> None:
    """After the clock was set back, a failed delivery would wait for years."""
    ended(store, *claimed(store, now=0), "ready", due=due)
    repair_due_times(store, now=5000, max_lease=60_000, max_pause=1000)

    assert bool(claimed(store, now=5000)) is comes


def test_a_delivery_created_in_the_future_is_due(store: Store) -> None:
    """After the clock was set back, a new delivery would wait for years."""
    store.execute("UPDATE delivery SET created = 9000000, due = 9000000")
    repair_due_times(store, now=5000, max_lease=60_000, max_pause=1000)

    assert [each.attempts for each in claimed(store, now=5000)] == [1]


def test_a_waiting_delivery_is_not_attempted_twice_in_a_run(store: Store) -> None:
    """A delivery that became waiting after the start of the run is left for the next run, even if it is due."""
    ended(store, *claimed(store, now=5), "waiting", due=6)

    assert claimed(store, now=10, begun=5) == []
    assert list(find_lanes(store, run_start=5)) == []
    assert len(claimed(store, now=10, begun=6)) == 1


def test_a_waiting_delivery_uses_no_attempt(store: Store) -> None:
    """If a handler is not available, the attempt is removed. `make_due_now` makes the delivery due."""
    ended(store, *claimed(store, now=0), "waiting", due=99_000, error="away")

    [waiting] = store.list_deliveries(1)
    assert (waiting.state, waiting.attempts, waiting.error) == ("waiting", 0, "away")
    assert store.list_attempts(waiting.seq) == []
    assert claimed(store, now=10, begun=99_999) == []
    make_due_now(store, now=10)
    assert [each.attempts for each in claimed(store, now=10)] == [1]


def test_make_due_now_includes_failed_deliveries_only_on_request(store: Store) -> None:
    """A delivery that is already due keeps its position in the queue."""
    store.insert(event(2), [NewDelivery("r", "h")], now=5)
    ended(store, *claimed(store, now=0, root=1), "ready", due=99_000)
    dues = []
    for options in ({}, {"include_failed": True}):
        make_due_now(store, now=10, **options)
        dues.append([store.list_deliveries(seq)[0].due for seq in (1, 2)])

    assert dues == [[99_000, 5], [10, 5]]


def test_a_redriven_delivery_restarts_its_limits_and_keeps_its_history(store: Store) -> None:
    """A second redrive has no effect."""
    [letter] = claimed(store, now=0)
    ended(store, letter, "dead", condition="MaximumRetryAttempts")

    assert list(redrive(store, DeadLetterFilter(), attrgetter("seq"), now=50)) == [letter.seq]
    assert list(redrive(store, DeadLetterFilter(), attrgetter("seq"), now=60)) == []
    [again] = claimed(store, now=50)
    assert (again.attempts, again.forgiven, again.created) == (2, 1, 50)
    assert len(store.list_attempts(letter.seq)) == 2


def test_a_last_attempt_is_claimed_alone(store: Store) -> None:
    """Otherwise another delivery of the batch could kill evtool and use up the last attempt of this one."""
    for number in range(2, 6):
        store.insert(event(number), [NewDelivery("r", "h")], now=number)
    first = claimed(store, now=9, most=2)  # the attempts of these two never end
    later = [claimed(store, now=2000 + turn, owner=str(turn), most=9, last=2) for turn in range(4)]

    assert len(first) == 2
    assert [[each.attempts for each in chunk] for chunk in later] == [[1, 1, 1], [2], [2], []]


def test_the_first_delivery_of_a_batch_is_also_claimed_alone(store: Store) -> None:
    """The deliveries after it are in the next batch."""
    claimed(store, now=0, lease=10)
    for number in (2, 3):
        store.insert(event(number), [NewDelivery("r", "h")], now=20)
    later = [claimed(store, now=30, owner=str(turn), most=9, last=2) for turn in range(2)]

    assert [[each.attempts for each in chunk] for chunk in later] == [[2], [1, 1]]


def test_the_delivery_with_the_earliest_due_time_is_claimed_first(store: Store) -> None:
    """The order of storage does not matter, also within one chain."""
    [first] = store.list_deliveries(1)
    for number, now in ((2, -5), (3, -9), (4, 3)):
        store.insert(event(number), [NewDelivery("r", "h")], now=now, cause=Cause(first.seq, 1, 1))

    for root in (1, None):
        found = [claimed(store, now=4, root=root, lease=1)[0] for _ in range(4)]
        assert [each.event for each in found] == [3, 2, 1, 4]
        for each in found:
            ended(store, each, "ready", due=[0, -5, -9, 3][each.event - 1])


def test_the_bytes_of_a_batch_are_limited(store: Store) -> None:
    """Few long events are claimed together. A single event may have any length."""
    for number in range(2, 6):
        store.insert(event(number, b'{"a": "%b"}' % (b"x" * 600_000)), [NewDelivery("r", "h")], now=0)

    assert [len(claimed(store, now=1, most=9)) for _ in range(4)] == [2, 1, 1, 1]


def test_a_lane_has_the_earliest_due_time_of_its_deliveries(store: Store) -> None:
    """A lane is one handler by one route."""
    store.insert(event(2), [NewDelivery("r", "h"), NewDelivery("q", "h"), NewDelivery("r", "g")], now=7)
    ended(store, *claimed(store, now=9, root=2), "done")

    assert [lane[:3] for lane in find_lanes(store, run_start=99)] == [("h", "q", 7), ("h", "r", 0)]
    [lane] = [lane for lane in find_lanes(store, run_start=99) if lane.route == "q"]
    with store.transaction():
        [taken] = claim(store, lane, now=9, run_start=9, owner="me", lease_ms=9, limit=9, max_attempts=9)
    assert (taken.delivery.route, taken.event.id) == ("q", "2")


def test_the_cost_of_claiming_a_chain_does_not_depend_on_the_queue(store: Store) -> None:
    """Publishing stays fast with a backlog of 2,000 deliveries."""

    def steps(chains: Chains) -> int:
        done = 0

        def count() -> bool:
            nonlocal done
            done += 1
            return False

        store.connection.set_progress_handler(count, 10)
        with store.transaction():
            [lane] = find_lanes(store, chains, run_start=9)
            claim(store, lane, now=9, run_start=9, owner="me", lease_ms=9, limit=9, max_attempts=9)
        store.connection.set_progress_handler(None)
        return done

    few = steps(Chains([1]))
    with store.transaction():
        for number in range(2, 2002):
            store.insert(event(number), [NewDelivery("r", "h")], now=0)

    assert steps(Chains([2001])) < few * 3
