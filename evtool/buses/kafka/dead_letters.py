"""The dead letters of a consumer group: lists, redrives and purges the messages of its dead topics.

A message cannot be deleted from a topic. A dead letter that was redriven or purged has a marker: a later message of the
same topic with a header that names its partition and offset. Lists of dead letters omit those with a marker.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from evtool.buses.base import Failure, Message
from evtool.buses.decoding import decode_message
from evtool.buses.encoding import Content
from evtool.buses.kafka.connection import KafkaConnection
from evtool.buses.kafka.producer import Producer
from evtool.buses.kafka.reader import read_messages
from evtool.buses.worker.handover import (
    CONDITION,
    DIED,
    PURGED,
    REASON,
    REDRIVEN,
    VALUE,
    Death,
    Handover,
    NotHandoverError,
    Outgoing,
    build_retry,
    find_header,
    find_number,
    parse_handover,
    restore_origin,
)
from evtool.buses.worker.tiers import GroupTopics
from evtool.errors import UsageError
from evtool.events.event import Event

# The number of dead letters that are changed together.
BATCH = 200


class DeadLetter(NamedTuple):
    """A message of a dead topic: the delivery, why it was given up, and its event if it could be read."""

    message: Message
    handover: Handover
    death: Death
    event: Event | None

    @property
    def original(self) -> Message:
        """The message as it was read first."""
        return restore_origin(self.message, self.handover.origin)

    @property
    def has_value(self) -> bool:
        """Whether it has the value of the original message, which may have been too long for a dead letter."""
        return find_header(self.message.headers, VALUE) is None


def list_dead_letters(connection: KafkaConnection, topics: GroupTopics) -> Iterator[DeadLetter]:
    """Yields the dead letters of a group that were neither redriven nor purged. Joins no group, writes nothing.

    The topics are read twice: markers come after what they mark. Raises UsageError if a topic cannot be read.
    """
    marked = {mark for message in _read(connection, topics) for mark in _find_marks(message)}
    for message in _read(connection, topics):
        if (message.topic, f"{message.partition}-{message.offset}") in marked or any(_find_marks(message)):
            continue
        letter = _parse(message)
        if letter:
            yield letter


def redrive(
    connection: KafkaConnection, topics: GroupTopics, letters: Iterable[DeadLetter], *, now: int
) -> Iterator[DeadLetter]:
    """Sends dead letters to be delivered again, only to the handler that failed; yields those that the bus confirmed.

    Without retry topics they go to the topic of the original message, which other groups skip. A message that could
    not be read goes there with its bytes and headers alone.
    """

    def build(letter: DeadLetter) -> Outgoing:
        topic, original = letter.handover.origin.topic, letter.original
        if not letter.handover.handler:
            return Outgoing(topic, original.key, original.value, list(original.headers))
        if topics.tiers:
            target = topics.retry_topic(topic, topics.tiers[0])
        else:
            target = topic
        handover = letter.handover._replace(attempts=0, first=0)
        return build_retry(target, letter.message, handover, topics.group, due=now, reason="redriven")

    usable = (letter for letter in letters if letter.has_value)
    return _change(connection, usable, REDRIVEN, build)


def purge(connection: KafkaConnection, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
    """Marks dead letters as purged, so that they are no longer listed; yields those that the bus confirmed."""
    return _change(connection, letters, PURGED, None)


def _read(connection: KafkaConnection, topics: GroupTopics) -> Iterator[Message]:
    with closing(read_messages(connection, topics=tuple(topics.dead_topics))) as batches:
        for batch in batches:
            yield from batch


def _find_marks(message: Message) -> Iterator[tuple[str, str]]:
    """Yields the dead letter that a marker marks: its topic, and its partition and offset."""
    for name in (REDRIVEN, PURGED):
        mark = find_header(message.headers, name)
        if mark:
            yield message.topic, mark


def _parse(message: Message) -> DeadLetter | None:
    """Returns the dead letter in a message; None if another program wrote it."""
    try:
        handover = parse_handover(message)
    except NotHandoverError:
        return None
    headers = message.headers
    reason, condition = find_header(headers, REASON) or "", find_header(headers, CONDITION) or ""
    death = Death(reason, condition, find_number(headers, DIED) or 0)
    if handover.handler:
        items = list(decode_message(restore_origin(message, handover.origin)))
    else:
        items = []
    item = None
    if handover.entry < len(items):
        item = items[handover.entry]
    event = None
    if isinstance(item, Event):
        event = item
    return DeadLetter(message, handover, death, event)


def _change(
    connection: KafkaConnection,
    letters: Iterable[DeadLetter],
    mark: str,
    build: Callable[[DeadLetter], Outgoing] | None,
) -> Iterator[DeadLetter]:
    """Sends the messages that `build` makes of dead letters, and then their markers, some letters at a time."""
    remaining = iter(letters)
    with Producer(connection) as producer:
        while batch := list(islice(remaining, BATCH)):
            if build:
                _send(connection, producer, [build(letter) for letter in batch])
            _send(connection, producer, [_build_marker(letter, mark) for letter in batch])
            yield from batch


def _send(connection: KafkaConnection, producer: Producer, messages: Sequence[Outgoing]) -> None:
    """Sends messages and waits until each is confirmed. Raises UsageError if one is not."""
    failures: list[Failure] = []
    for topic, key, value, headers in messages:
        producer.send(
            topic, Content(key, value, headers), lambda failure: failures.extend([failure] if failure else [])
        )
        producer.poll()
    producer.flush()
    if failures:
        count = f"{len(failures)} of {len(messages)} messages"
        raise UsageError(f"{connection.name}: {count} were not confirmed: {failures[0]}; run the command again")


def _build_marker(letter: DeadLetter, mark: str) -> Outgoing:
    position = f"{letter.message.partition}-{letter.message.offset}"
    return Outgoing(letter.message.topic, None, b"", [(mark, position.encode())])
