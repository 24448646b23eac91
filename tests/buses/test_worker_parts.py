"""The parts of a worker of a bus, without a broker: window, backlog, tiers, handover messages, outbox."""

from collections.abc import Callable
from random import Random

import pytest

from evtool.buses.base import Failure, Message
from evtool.buses.worker.backlog import Backlog
from evtool.buses.worker.handover import (
    Death,
    Handover,
    NotHandoverError,
    Origin,
    Outgoing,
    build_dead,
    build_retry,
    find_header,
    leave_value_out,
    parse_handover,
    parse_origin,
    restore_origin,
)
from evtool.buses.worker.outbox import RESEND_DELAY, Listener, Outbox
from evtool.buses.worker.tiers import GroupTopics, choose_tier, format_tier
from evtool.buses.worker.window import PartitionKey, Window
from evtool.errors import UsageError
from evtool.store.rows import Attempt
from evtool.units import parse_duration

KEY = PartitionKey("t", 0)
OTHER = PartitionKey("t", 1)


def message(offset: int, partition: int = 0, topic: str = "t", value: bytes | None = b"{}") -> Message:
    """A message."""
    return Message(topic, partition, offset, 1000 + offset, b"k", value)


# --- window ----------------------------------------------------------------------------------------------------------


def test_watermark_is_the_lowest_unfinished_message() -> None:
    """Messages may finish in any order: no unfinished message is committed."""
    for seed in range(50):
        random, window = Random(seed), Window(1000)
        opened = [window.open(message(offset), 1) for offset in range(10, 40)]
        unfinished = {each.message.offset for each in opened}
        for each in random.sample(opened, len(opened)):
            window.finish_part(each)
            unfinished.discard(each.message.offset)
            lowest = min(unfinished, default=40)
            assert window.watermarks().get(KEY, 10) == lowest


def test_message_is_finished_with_its_last_delivery() -> None:
    """A message with several deliveries is committed when all are over; one without any at once."""
    window = Window()
    opened = window.open(message(5), 2)
    window.finish_part(opened)
    assert window.watermarks() == {}
    window.finish_part(opened)
    window.open(message(6), 0)

    assert window.watermarks() == {KEY: 7}


def test_window_counts_until_the_commit() -> None:
    """Commits, not finished messages, make room in the window. This bounds the repeated messages of a killed worker."""
    window = Window(3)
    opened = [window.open(message(offset), 1) for offset in range(3)]
    for each in opened:
        window.finish_part(each)
    assert (window.room, window.uncommitted) == (0, 3)
    window.commit(KEY, 2)

    assert (window.room, window.uncommitted) == (2, 1)


def test_watermark_passes_gaps_between_offsets() -> None:
    """Offsets of a compacted topic, or one with transactions, have gaps."""
    window = Window()
    for offset in (3, 9, 27):
        window.open(message(offset), 0)

    assert window.watermarks() == {KEY: 28}


def test_abandoned_messages_change_nothing() -> None:
    """A call that ends after its partition was revoked does not count, even if the partition came back."""
    window = Window()
    old = window.open(message(5), 1)
    window.abandon({KEY})
    new = window.open(message(5), 1)
    window.finish_part(old)

    assert old.is_abandoned
    assert window.watermarks() == {}
    window.finish_part(new)
    assert window.watermarks() == {KEY: 6}


def test_finished_message_that_comes_again_is_not_repeated() -> None:
    """A worker that loses a partition and gets it back does not repeat finished messages."""
    window = Window()
    window.finish_part(window.open(message(5), 1))
    window.open(message(6), 1)
    window.abandon({KEY})

    assert window.is_done(message(5))
    assert not window.is_done(message(5)._replace(timestamp=1))
    assert not window.is_done(message(6))


def test_messages_before_one_that_is_begun_are_worth_finishing() -> None:
    """At the end, those are still handled without which others, begun or finished, could not be committed."""
    window = Window()
    first, second, third, fourth = (window.open(message(offset), 2) for offset in range(4))

    assert window.find_last_begun({first: 2, second: 2, third: 2, fourth: 2}) == {}
    assert window.find_last_begun({first: 2, second: 1, third: 2, fourth: 2}) == {KEY: 1}
    for _ in range(2):
        window.finish_part(third)
    assert window.find_last_begun({first: 2, second: 2, fourth: 2}) == {KEY: 2}


# --- backlog ---------------------------------------------------------------------------------------------------------


def never(_message: Message) -> None:
    """Due at once."""


def take_all(backlog: Backlog, now: int = 0) -> list[tuple[int, int]]:
    """Returns partition and offset of the messages that can be opened."""
    taken = []
    while next_message := backlog.take_next(now):
        taken.append((next_message.partition, next_message.offset))
    return taken


def test_partitions_take_turns_and_keep_their_order() -> None:
    """No partition waits for another one, and the messages of each come in order."""
    backlog = Backlog(never)
    backlog.add([message(0), message(1), message(0, 1), message(1, 1)])

    assert take_all(backlog) == [(0, 0), (1, 0), (0, 1), (1, 1)]


def test_messages_after_the_end_are_ignored() -> None:
    """A partition is read to the offset that it had at the start."""
    backlog = Backlog(never, {KEY: 2, OTHER: 0})
    assert not backlog.is_reached(KEY)
    assert backlog.is_reached(OTHER)
    backlog.add([message(offset) for offset in range(4)])
    assert not backlog.is_reached(KEY)

    assert take_all(backlog) == [(0, 0), (0, 1)]
    assert backlog.is_reached(KEY)


def test_end_without_a_message_is_reached_when_the_bus_says_so() -> None:
    """The last offsets of a partition may be no messages: the bus says that there is nothing more."""
    backlog = Backlog(never, {KEY: 10})
    backlog.add([message(3)])
    take_all(backlog)
    assert not backlog.is_reached(KEY)
    backlog.reach_end(KEY)

    assert backlog.is_reached(KEY)


def test_retry_message_is_given_back_until_it_is_due() -> None:
    """A partition whose first message is not due is put on hold, with all later messages."""
    backlog = Backlog(lambda each: each.offset * 100)
    backlog.add([message(1), message(2), message(3)])
    assert take_all(backlog, now=150) == [(0, 1)]
    assert [(hold.key, hold.offset, hold.until) for hold in backlog.take_new_holds()] == [(KEY, 2, 200)]
    backlog.add([message(4)])
    assert (len(backlog), backlog.take_new_holds(), backlog.release(199)) == (0, [], [])
    assert backlog.release(200) == [KEY]
    backlog.add([message(2), message(3)])

    assert take_all(backlog, now=300) == [(0, 2), (0, 3)]


def test_a_hold_begins_after_the_opened_messages() -> None:
    """Messages that were opened before the hold are finished."""
    backlog = Backlog(never)
    backlog.add([message(1), message(2)])
    take_all(backlog)
    backlog.hold(KEY, 500)

    assert [hold.offset for hold in backlog.take_new_holds()] == [3]


def test_dropped_partition_leaves_nothing() -> None:
    """A partition that went to another worker has neither messages nor a hold."""
    backlog = Backlog(lambda each: 10**9)
    backlog.add([message(1), message(1, 1)])
    take_all(backlog)
    backlog.drop({KEY})

    assert [hold.key for hold in backlog.take_new_holds()] == [OTHER]


# --- tiers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay", "tier"), [(0, 5), (5, 5), (5.001, 60), (700, 3600), (3600, 3600), (86400, 3600)])
def test_pause_is_rounded_up_to_a_tier(delay: float, tier: float) -> None:
    """The last tier takes all longer pauses."""
    assert choose_tier((5.0, 60.0, 600.0, 3600.0), delay) == tier


@pytest.mark.parametrize("text", ["500ms", "5s", "90s", "1m", "10m", "1h", "36h", "1d"])
def test_tiers_are_named_as_people_write_them(text: str) -> None:
    """The name of a topic says how long its messages wait."""
    assert format_tier(parse_duration(text)) == text


def test_each_topic_has_its_own_retry_and_dead_topics() -> None:
    """Each topic has its own retry topics and dead topic."""
    topics = GroupTopics(("a", "b"), "g", (5.0, 60.0))
    own = ["a.g.retry.5s", "a.g.retry.1m", "b.g.retry.5s", "b.g.retry.1m", "a.g.dead", "b.g.dead"]

    assert topics.own_topics == own
    assert topics.find_missing(own[1:]) == own[:1]
    with pytest.raises(UsageError, match="259 characters; Kafka allows 249"):
        GroupTopics(("a" * 250,), "g", (5.0,))._replace(group="grp", tiers=()).check_names()


# --- handover messages -----------------------------------------------------------------------------------------------

ORIGIN = Origin("orders-eu", 3, 17, 1234)
HANDOVER = Handover(ORIGIN, "r", "h", 2, 4, 999, (Attempt(1, 5, 7, "failed", "no", "printed", "E"),))
ODD_HEADERS = [("x", b"\xff\x00"), ("x", None), ("", b""), ("ce_id", b"1")]


def read_back(outgoing: Outgoing) -> Message:
    """Returns a message as a worker reads it again."""
    return Message(outgoing.topic, 0, 0, 9, outgoing.key, outgoing.value, outgoing.headers)


def test_retry_message_keeps_everything_and_names_the_delivery() -> None:
    """Key, value and headers are those of the original; the delivery and its history are read back."""
    original = Message("orders-eu", 3, 17, 1234, b"\xffkey", b"\xfe", ODD_HEADERS)
    once = build_retry("r1", original, HANDOVER, "g", due=5000, reason="no\x1b[31m")
    twice = build_retry("r2", read_back(once), HANDOVER, "g", due=6000, reason="no")

    assert (twice.key, twice.value) == (b"\xffkey", b"\xfe")
    assert twice.headers[:4] == ODD_HEADERS
    assert find_header(once.headers, "evtool-reason") == "no\\x1b[31m"
    assert [name for name, _ in twice.headers].count("evtool-due") == 1
    history = (Attempt(1, 5, 7, "failed", "no", None, "E"),)
    assert parse_handover(read_back(twice)) == HANDOVER._replace(history=history)
    assert restore_origin(read_back(twice), ORIGIN) == original


def test_dead_message_has_a_short_reason() -> None:
    """The error is cut to 500 characters."""
    dead = build_dead("d", message(1), HANDOVER, "g", Death("x" * 9000 + "\n", "NotRetriable", 77))

    assert len(find_header(dead.headers, "evtool-reason") or "") == 500
    assert find_header(dead.headers, "evtool-condition") == "NotRetriable"
    assert find_header(dead.headers, "evtool-died") == "77"


def test_dead_message_that_is_too_long_has_no_value() -> None:
    """It keeps the headers that identify it."""
    dead = build_dead("d", message(1), HANDOVER, "g", Death("no", "NotRetriable", 77))
    short = leave_value_out(dead)

    assert short.value is None
    assert parse_handover(read_back(short)) == HANDOVER._replace(history=())
    assert "2 bytes" in (find_header(short.headers, "evtool-value") or "")


@pytest.mark.parametrize("text", ["", "a", "a-1", "-1-2", "a-x-2", "a-1-²"])
def test_strange_origins_are_not_parsed(text: str) -> None:
    """A message that another program wrote is recognized."""
    assert parse_origin(text) is None
    with pytest.raises(NotHandoverError):
        parse_handover(message(1)._replace(headers=[("evtool-origin", text.encode())]))


@pytest.mark.parametrize("history", [b"[", b"[[1]]", b'[["x",1,2,"done",null,null,null]]', b"[[1,2,3,4,5,6,7]]"])
def test_strange_history_is_left_out(history: bytes) -> None:
    """A damaged history does not prevent the delivery."""
    headers = [("evtool-origin", b"a-1-2"), ("evtool-history", history), ("evtool-attempt", b"x")]

    assert parse_handover(message(1)._replace(headers=headers)) == Handover(Origin("a", 1, 2, None))


# --- outbox ----------------------------------------------------------------------------------------------------------


class Wire:
    """A bus that confirms when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.read_back: list[tuple[Outgoing, Listener]] = []
        self.outbox = Outbox(lambda outgoing, listener: self.read_back.append((outgoing, listener)), lambda: self.now)

    def report(self, failure: Failure | None = None) -> Outgoing:
        """Reports the oldest message."""
        outgoing, listener = self.read_back.pop(0)
        listener(failure)
        return outgoing


def outgoing(value: bytes = b"v") -> Outgoing:
    """A message to send."""
    return Outgoing("t", None, value, [])


def collector(calls: list[str], name: str) -> Callable[..., None]:
    """Notes that it was called."""
    return lambda *arguments: calls.append(" ".join([name, *map(str, arguments)]))


def test_group_is_confirmed_with_its_last_message() -> None:
    """A delivery that emitted several events is over when all of them are confirmed."""
    wire, calls = Wire(), list[str]()
    wire.outbox.send([outgoing(), outgoing()], collector(calls, "confirmed"))
    wire.report()
    assert (calls, wire.outbox.unconfirmed) == ([], 1)
    wire.report()

    assert (calls, wire.outbox.unconfirmed) == (["confirmed"], 0)


def test_unconfirmed_message_is_sent_again() -> None:
    """A failed report is not the end: the message is read_back until it is confirmed, after a pause."""
    wire, calls = Wire(), list[str]()
    wire.outbox.send([outgoing()], collector(calls, "confirmed"))
    wire.report(Failure("timed out", is_final=False))
    wire.outbox.send_again()
    assert not wire.read_back
    wire.now = RESEND_DELAY
    wire.outbox.send_again()
    wire.report()

    assert calls == ["confirmed"]


def test_refused_emitted_event_is_reported() -> None:
    """An event that the bus never takes ends its delivery, once."""
    wire, calls = Wire(), list[str]()
    wire.outbox.send([outgoing(), outgoing()], collector(calls, "confirmed"), collector(calls, "refused"))
    wire.report(Failure("too large", is_final=True))
    assert calls == []
    wire.report()

    assert (calls, wire.outbox.unconfirmed) == (["refused too large"], 0)


def test_refused_dead_letter_is_sent_without_its_value() -> None:
    """A dead letter is not lost because it is too long; if even that is refused, the worker ends."""
    wire, calls = Wire(), list[str]()
    wire.outbox.send([outgoing()], collector(calls, "confirmed"))
    wire.report(Failure("too large", is_final=True))
    wire.outbox.send_again()
    assert wire.read_back[0][0].value is None
    with pytest.raises(UsageError, match="takes no dead letter: no access; nothing is committed"):
        wire.read_back[0][1](Failure("no access", is_final=True))
    wire.report()

    assert calls == ["confirmed"]


def test_open_message_has_no_dict() -> None:
    """One is made for every message."""
    assert not hasattr(Window().open(message(1), 1), "__dict__")
