"""The window of a worker: the messages under way, how far each partition may be committed, how many more may be opened.

A message is opened when its deliveries are made, and finished when each of them is done or handed over. A partition is
committed up to its lowest unfinished message, the watermark:

    offset      7     8     9     10
              done  open  done  done     the watermark is 8: the next worker begins there, and repeats 9 and 10

A message counts from the moment it is opened until it is committed, so that the limit of the window is also the number
of messages that can be repeated when a worker is killed.
"""

from collections import deque
from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from evtool.buses.base import Message

# Messages.
LIMIT = 100


class PartitionKey(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


def partition_of(message: Message) -> PartitionKey:
    """Returns the partition that a message is in."""
    return PartitionKey(message.topic, message.partition)


class OpenMessage:
    """A message under way. It is abandoned when its partition goes to another worker: nothing is written for it."""

    __slots__ = ("is_abandoned", "message", "partition", "parts", "total")

    def __init__(self, message: Message, partition: "_Partition", parts: int):
        self.message, self.partition, self.total = message, partition, parts
        # The number of deliveries that are not over.
        self.parts = parts
        self.is_abandoned = False


class _Partition:
    """The messages of one partition that are not committed."""

    def __init__(self) -> None:
        # In the order of their offsets. The first one is unfinished.
        self.under_way: deque[OpenMessage] = deque()
        # The messages below the watermark.
        self.finished: deque[OpenMessage] = deque()
        self.watermark: int | None = None

    def advance(self) -> None:
        """Moves the watermark over the finished messages."""
        while self.under_way and not self.under_way[0].parts:
            self.finished.append(self.under_way.popleft())
            self.watermark = self.finished[-1].message.offset + 1


class Window:
    """The messages under way in all partitions of a worker."""

    def __init__(self, limit: int = LIMIT):
        self._limit = limit
        self._partitions: dict[PartitionKey, _Partition] = {}
        # Messages that were finished when their partition was given away.
        self._done_before: dict[PartitionKey, dict[int, Message]] = {}

    @property
    def room(self) -> int:
        """How many more messages may be opened."""
        return self._limit - sum([len(p.under_way) + len(p.finished) for p in self._partitions.values()])

    @property
    def uncommitted(self) -> int:
        """How many messages could be committed."""
        return sum(len(partition.finished) for partition in self._partitions.values())

    def count_under_way(self, keys: set[PartitionKey] | None = None) -> int:
        """Returns how many messages are open, in all partitions or in some."""
        return sum(
            len(partition.under_way) for key, partition in self._partitions.items() if keys is None or key in keys
        )

    def is_done(self, message: Message) -> bool:
        """Returns whether this worker gets a message again that it had finished when it lost the partition."""
        if not self._done_before:
            return False
        done = self._done_before.get(partition_of(message))
        previous = None
        if done:
            previous = done.get(message.offset)
        return previous is not None and (previous.timestamp, previous.key) == (message.timestamp, message.key)

    def open(self, message: Message, parts: int) -> OpenMessage:
        """Opens a message with a number of deliveries, in the order of the offsets of its partition."""
        key = partition_of(message)
        partition = self._partitions.get(key)
        if partition is None:
            partition = self._partitions[key] = _Partition()
        opened = OpenMessage(message, partition, parts)
        partition.under_way.append(opened)
        if not parts:
            partition.advance()
        return opened

    def finish_part(self, opened: OpenMessage) -> None:
        """One delivery of a message is over."""
        opened.parts -= 1
        if not opened.parts and not opened.is_abandoned:
            opened.partition.advance()

    def find_last_begun(self, waiting: Mapping[OpenMessage, int]) -> dict[PartitionKey, int]:
        """Returns the offset of the last message in each partition with a delivery that is begun or over.

        `waiting`: how many deliveries of a message are not begun.
        """
        last: dict[PartitionKey, int] = {}
        for key, partition in self._partitions.items():
            for opened in partition.under_way:
                if not opened.parts or waiting.get(opened, 0) < opened.total:
                    last[key] = opened.message.offset
        return last

    def watermarks(self) -> dict[PartitionKey, int]:
        """Returns the watermarks of the partitions with finished messages that are not committed."""
        return {
            key: partition.watermark
            for key, partition in self._partitions.items()
            if partition.finished and partition.watermark is not None
        }

    def commit(self, key: PartitionKey, offset: int) -> None:
        """Notes that a partition is committed up to an offset: the messages below it cannot be repeated any more."""
        partition = self._partitions.get(key)
        while partition and partition.finished and partition.finished[0].message.offset < offset:
            partition.finished.popleft()

    def abandon(self, keys: set[PartitionKey]) -> None:
        """Some partitions are no longer those of this worker."""
        for key in keys:
            partition = self._partitions.pop(key, None)
            if partition is None:
                continue
            done: dict[int, Message] = {}
            for opened in chain(partition.finished, partition.under_way):
                if not opened.parts:
                    # Without the value, which may be large: the key and the timestamp recognize it.
                    done[opened.message.offset] = opened.message._replace(value=None)
            self._done_before[key] = done
            for opened in partition.under_way:
                opened.is_abandoned = True
