"""The queue: who gets a delivery, for how long, and whose word counts in the end."""

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
    """An event with a number for an id."""
    return parse_event(build_envelope(detail, type="t", source="s", id=str(number), time="2026-11-23T10:00:00Z"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one delivery."""
    store = Store(tmp_path / "store.db")
    store.insert(event(1), [NewDelivery("r", "h")], now=0)
    return store


def test_a_claim_counts_the_attempt_and_hides_the_delivery(store: Store) -> None:
    """While a lease lasts nobody else gets the delivery; when it has ended, somebody does, and it counts again."""
    [first] = claimed(store, now=0, lease=1000)

    assert first.attempts == 1
    assert claimed(store, now=999, owner="other") == []
    assert [each.attempts for each in claimed(store, now=1000, owner="other")] == [2]
    assert [(a.number, a.outcome) for a in store.list_attempts(first.seq)] == [(1, None), (2, None)]


def test_a_worker_that_comes_too_late_changes_nothing(store: Store) -> None:
    """Every outcome is fenced by owner and attempt."""
    [late] = claimed(store, now=0, owner="late")
    [current] = claimed(store, now=5000, owner="current")

    for state, due in (("done", None), ("ready", 1), ("dead", None), ("waiting", 1)):
        assert not ended(store, late, state, due=due)
    assert store.get_delivery(current.seq).owner == "current"
    assert [attempt.outcome for attempt in store.list_attempts(current.seq)] == [None, None]
    assert ended(store, current, "done")
    assert not ended(store, current, "done")


def test_who_was_killed_still_has_what_nobody_else_took(store: Store) -> None:
    """By owner and attempt: what it was told counts for these deliveries only, with their events."""
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


def test_of_many_deliveries_only_those_that_an_owner_has_are_read(store: Store) -> None:
    """Whoever inherits a long call log needs no more memory for what was settled long ago."""
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


def test_a_number_is_not_given_again(store: Store) -> None:
    """A worker that holds a delivery which was purged meanwhile cannot end another one in its place."""
    [late] = claimed(store, now=0)
    [current] = claimed(store, now=5000, owner="other")
    assert ended(store, current, "dead")
    assert len(list(purge(store, DeadLetterFilter(), attrgetter("seq")))) == 1
    store.insert(event(2), [NewDelivery("r", "h")], now=6000)
    [fresh] = claimed(store, now=6000)

    assert (fresh.owner, fresh.attempts) == (late.owner, late.attempts)
    assert not ended(store, late, "done")
    assert store.get_delivery(fresh.seq).state == "leased"


def test_of_many_that_are_settled_together_only_the_own_are_changed(store: Store) -> None:
    """A lease that was lost does not hold up the others of the same commit."""
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
def test_what_is_told_of_a_delivery_is_what_the_store_has(
    store: Store, state: str, due: int | None, attempt: Attempt | None, forgiven: bool
) -> None:
    """Reports need not look again: a delivery stands as its ending says, and so does its history."""
    claimed(store, now=0)
    [delivery] = claimed(store, now=5000, owner="other")
    ending = DeliveryUpdate(delivery, state, due, "why", "Loop" if state == "dead" else None, attempt, forgiven)
    settle(store, [ending])

    assert ending.result == store.get_delivery(delivery.seq)
    assert store.list_attempts(delivery.seq)[1:] == ([attempt._replace(started=5000)] if attempt else [])


def test_a_lease_beyond_all_leases_is_ended(store: Store) -> None:
    """When the clock was set back, a delivery is not held for years by a lease of the future."""
    claimed(store, now=9_000_000, lease=1000)
    repair_due_times(store, now=5000, max_lease=60_000, max_pause=1000)

    assert [each.attempts for each in claimed(store, now=5000, owner="other")] == [2]


@pytest.mark.parametrize(("due", "comes"), [(6000, False), (6001, True)])
def test_a_pause_beyond_all_pauses_is_ended(store: Store, due: int, comes: bool) -> None:
    """When the clock was set back, what failed is not tried again years later."""
    ended(store, *claimed(store, now=0), "ready", due=due)
    repair_due_times(store, now=5000, max_lease=60_000, max_pause=1000)

    assert bool(claimed(store, now=5000)) is comes


def test_what_was_stored_in_the_future_is_due(store: Store) -> None:
    """When the clock was set back, what nobody has attempted yet does not wait until it is as late again."""
    store.execute("UPDATE delivery SET created = 9000000, due = 9000000")
    repair_due_times(store, now=5000, max_lease=60_000, max_pause=1000)

    assert [each.attempts for each in claimed(store, now=5000)] == [1]


def test_what_waits_is_looked_for_once_in_a_run(store: Store) -> None:
    """A delivery that came to wait after the run had begun is left for the next run, however soon it is due."""
    ended(store, *claimed(store, now=5), "waiting", due=6)

    assert claimed(store, now=10, begun=5) == []
    assert list(find_lanes(store, run_start=5)) == []
    assert len(claimed(store, now=10, begun=6)) == 1


def test_waiting_takes_the_attempt_back(store: Store) -> None:
    """A handler that is not available leaves no attempt behind, and `make_due_now` makes the delivery due."""
    ended(store, *claimed(store, now=0), "waiting", due=99_000, error="away")

    [waiting] = store.list_deliveries(1)
    assert (waiting.state, waiting.attempts, waiting.error) == ("waiting", 0, "away")
    assert store.list_attempts(waiting.seq) == []
    assert claimed(store, now=10, begun=99_999) == []
    make_due_now(store, now=10)
    assert [each.attempts for each in claimed(store, now=10)] == [1]


def test_what_is_to_be_tried_again_is_hurried_only_if_that_is_asked_for(store: Store) -> None:
    """What is due already keeps its place in the queue."""
    store.insert(event(2), [NewDelivery("r", "h")], now=5)
    ended(store, *claimed(store, now=0, root=1), "ready", due=99_000)
    dues = []
    for options in ({}, {"include_failed": True}):
        make_due_now(store, now=10, **options)
        dues.append([store.list_deliveries(seq)[0].due for seq in (1, 2)])

    assert dues == [[99_000, 5], [10, 5]]


def test_a_redriven_letter_begins_anew_but_keeps_its_history(store: Store) -> None:
    """Limits count from the redrive; redriving twice is redriving once."""
    [letter] = claimed(store, now=0)
    ended(store, letter, "dead", condition="MaximumRetryAttempts")

    assert list(redrive(store, DeadLetterFilter(), attrgetter("seq"), now=50)) == [letter.seq]
    assert list(redrive(store, DeadLetterFilter(), attrgetter("seq"), now=60)) == []
    [again] = claimed(store, now=50)
    assert (again.attempts, again.forgiven, again.created) == (2, 1, 50)
    assert len(store.list_attempts(letter.seq)) == 2


def test_what_is_claimed_for_the_last_time_is_claimed_alone(store: Store) -> None:
    """A neighbour that takes evtool down cannot cost a delivery its last attempt: it is in no chunk."""
    for number in range(2, 6):
        store.insert(event(number), [NewDelivery("r", "h")], now=number)
    first = claimed(store, now=9, most=2)  # the attempts of these two never end
    later = [claimed(store, now=2000 + turn, owner=str(turn), most=9, last=2) for turn in range(4)]

    assert len(first) == 2
    assert [[each.attempts for each in chunk] for chunk in later] == [[1, 1, 1], [2], [2], []]


def test_the_last_attempt_is_made_alone_also_of_the_first_in_line(store: Store) -> None:
    """Whatever is due behind it comes in the next chunk."""
    claimed(store, now=0, lease=10)
    for number in (2, 3):
        store.insert(event(number), [NewDelivery("r", "h")], now=20)
    later = [claimed(store, now=30, owner=str(turn), most=9, last=2) for turn in range(2)]

    assert [[each.attempts for each in chunk] for chunk in later] == [[2], [1, 1]]


def test_what_has_been_due_longest_comes_first(store: Store) -> None:
    """Whichever was stored first, and also in one chain of events."""
    [first] = store.list_deliveries(1)
    for number, now in ((2, -5), (3, -9), (4, 3)):
        store.insert(event(number), [NewDelivery("r", "h")], now=now, cause=Cause(first.seq, 1, 1))

    for root in (1, None):
        found = [claimed(store, now=4, root=root, lease=1)[0] for _ in range(4)]
        assert [each.event for each in found] == [3, 2, 1, 4]
        for each in found:
            ended(store, each, "ready", due=[0, -5, -9, 3][each.event - 1])


def test_a_chunk_is_no_longer_than_memory_is_wide(store: Store) -> None:
    """Long events are claimed few at a time, and a single one however long it is."""
    for number in range(2, 6):
        store.insert(event(number, b'{"a": "%b"}' % (b"x" * 600_000)), [NewDelivery("r", "h")], now=0)

    assert [len(claimed(store, now=1, most=9)) for _ in range(4)] == [2, 1, 1, 1]


def test_every_lane_says_when_it_is_due(store: Store) -> None:
    """A handler by a route is found by what it has first, whatever stands behind it and beside it."""
    store.insert(event(2), [NewDelivery("r", "h"), NewDelivery("q", "h"), NewDelivery("r", "g")], now=7)
    ended(store, *claimed(store, now=9, root=2), "done")

    assert [lane[:3] for lane in find_lanes(store, run_start=99)] == [("h", "q", 7), ("h", "r", 0)]
    [lane] = [lane for lane in find_lanes(store, run_start=99) if lane.route == "q"]
    with store.transaction():
        [taken] = claim(store, lane, now=9, run_start=9, owner="me", lease_ms=9, limit=9, max_attempts=9)
    assert (taken.delivery.route, taken.event.id) == ("q", "2")


def test_a_chain_is_found_by_its_events_however_long_the_queue_is(store: Store) -> None:
    """What one event led to is not looked for among all that is due: publishing stays fast behind a backlog."""

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
