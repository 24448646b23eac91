"""Opens messages: decodes the event of a message and makes the deliveries that it needs.

A delivery of a bus has the same form as one of the store, so that handlers, retry policies and reports are the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from evtool.buses.base import Message
from evtool.buses.decoding import decode_message, decode_messages, is_tombstone
from evtool.buses.worker.handover import (
    GROUP,
    OWN_HEADERS,
    Handover,
    NotHandoverError,
    find_header,
    find_number,
    origin_of,
    parse_handover,
    restore_origin,
    strip_headers,
)
from evtool.buses.worker.tiers import GroupTopics
from evtool.delivery.intake import LOOP_ERROR, MAX_DEPTH, match_handlers
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.routes.routes import Routes
from evtool.store.queue import Claim
from evtool.store.rows import Delivery, StoredEvent

# The headers of events that handlers emit: the number of events before it in its chain.
DEPTH = "evtool-depth"
# The id of the event that the handler got.
CAUSE = "evtool-cause"
NO_EVENT = "the message has no event number {} any more"


class Work(NamedTuple):
    """A delivery of a message. With `death` it is given up without an attempt: the error and the condition."""

    claim: Claim
    message: Message
    handover: Handover
    death: tuple[str, str] | None = None


class Opening(NamedTuple):
    """The content of a message: the deliveries of its events, and its problems. Both may be empty."""

    works: tuple[Work, ...] = ()
    findings: tuple[Finding, ...] = ()
    # The message is a tombstone, and the URL says tombstones=skip.
    is_skipped: bool = False


class Opener:
    """Opens the messages of a consumer group."""

    def __init__(
        self,
        routes: Routes,
        topics: GroupTopics,
        now: Callable[[], int],
        owner: str,
        *,
        skip_tombstones: bool = False,
    ):
        self._routes, self._topics, self._now, self._owner = routes, topics, now, owner
        self._skip_tombstones = skip_tombstones
        self._retry_topics = topics.retry_topics
        self._numbers = count(1)

    def open_many(self, messages: Sequence[Message]) -> Iterator[Opening]:
        """Yields the deliveries of each message. Those that are plain events are decoded together, which is faster."""
        plain_messages = [message for message in messages if self._is_plain(message)]
        plain: dict[int, list[Event | Finding]] = {id(message): [] for message in plain_messages}
        for message, item in decode_messages(plain_messages):
            plain[id(message)].append(item)
        for message in messages:
            items = plain.get(id(message))
            if items is None:
                yield self.open(message)
            else:
                yield self._make_opening(message, items)

    def open(self, message: Message) -> Opening:
        """Returns the deliveries of a message."""
        group = None
        if message.headers:
            group = find_header(message.headers, GROUP)
        if message.topic in self._retry_topics or group == self._topics.group:
            return self._open_handover(message)
        # It is a dead letter of another group, which `redrive` has sent to the topic again.
        if group is not None:
            return Opening()
        if is_tombstone(message) and self._skip_tombstones:
            return Opening(is_skipped=True)
        return self._open_original(message)

    def _open_original(self, message: Message) -> Opening:
        if message.headers:
            original = message._replace(headers=strip_headers(message.headers))
        else:
            original = message
        return self._make_opening(message, decode_message(original))

    def _is_plain(self, message: Message) -> bool:
        """Returns whether a message was not handed over, and has a value and no header of a handover."""
        if message.value is None or message.topic in self._retry_topics:
            return False
        return not message.headers or OWN_HEADERS.isdisjoint([name for name, _ in message.headers])

    def _make_opening(self, message: Message, items: Iterable[Event | Finding]) -> Opening:
        works: list[Work] = []
        findings = []
        for entry, item in enumerate(items):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                works += self._make_works(message, item, entry)
        return Opening(tuple(works), tuple(findings))

    def _make_works(self, message: Message, event: Event, entry: int) -> Iterator[Work]:
        """Yields a delivery for each handler whose route matches the event; too deep in a chain, they are given up."""
        depth = 0
        if message.headers:
            depth = find_number(message.headers, DEPTH) or 0
        death = None
        if depth > MAX_DEPTH:
            death = (LOOP_ERROR, "Loop")
        now, origin = self._now(), origin_of(message)
        for route, handler, is_left_out in match_handlers(event, self._routes):
            if not is_left_out:
                handover = Handover(origin, route.name, handler, entry, first=now)
                yield Work(self._claim(event, handover, depth, now), message, handover, death)

    def _open_handover(self, message: Message) -> Opening:
        """Returns the one delivery of a message that was handed over."""
        try:
            handover = parse_handover(message)
        except NotHandoverError as error:
            return Opening(findings=(Finding("EV009", str(error), file=message.position, line=1, column=1),))
        now = self._now()
        # A redriven delivery starts with new attempts.
        if not handover.first:
            handover = handover._replace(first=now)
        items = list(decode_message(restore_origin(message, handover.origin)))
        if handover.entry >= len(items):
            return Opening(findings=(Finding("EV009", NO_EVENT.format(handover.entry), file=message.position, line=1),))
        item = items[handover.entry]
        if isinstance(item, Finding):
            return Opening(findings=(item,))
        depth = find_number(message.headers, DEPTH) or 0
        return Opening((Work(self._claim(item, handover, depth, now), message, handover),))

    def _claim(self, event: Event, handover: Handover, depth: int, now: int) -> Claim:
        seq = next(self._numbers)
        delivery = Delivery(
            seq=seq,
            event=seq,
            route=handover.route,
            handler=handover.handler,
            replay="",
            state="leased",
            attempts=handover.attempts + 1,
            forgiven=0,
            created=handover.first,
            due=now,
            owner=self._owner,
            duration_ms=None,
            error=None,
            condition=None,
        )
        stored_at = handover.origin.timestamp
        if stored_at is None:
            stored_at = now
        stored = StoredEvent(
            seq=seq,
            id=event.id,
            type=event.type,
            source=event.source,
            time=None,
            stored_at=stored_at,
            sha256="",
            raw=event.raw,
            root=seq,
            depth=depth,
            cause=None,
            replay=None,
            bus=event.bus or DEFAULT_BUS,
        )
        return Claim(delivery, stored)
