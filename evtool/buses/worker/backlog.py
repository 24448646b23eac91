"""The backlog of a worker: the messages that it has taken from its partitions and not opened yet.

A message of a retry topic is due at a time. The messages of such a topic are due in their order, so that a partition
whose first message is not due is put on hold: its messages are given back, and taken again at that time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from evtool.buses.base import Message
from evtool.buses.worker.window import PartitionKey, partition_of

# Returns when a message may be opened, in milliseconds since 1970, or None for at once.
DueTime = Callable[[Message], int | None]


class Hold(NamedTuple):
    """A partition whose messages are given back from an offset on, until a time in milliseconds since 1970."""

    key: PartitionKey
    offset: int
    until: int


class Backlog:
    """The messages that wait to be opened, by partition.

    `ends` are the offsets at which partitions end; None if they have no end. What is in them later is ignored.
    """

    def __init__(self, due_time: DueTime, ends: Mapping[PartitionKey, int] | None = None):
        self._due_time, self._ends = due_time, ends
        # Partitions take turns: the next one comes first.
        self._queues: dict[PartitionKey, deque[Message]] = {}
        self._holds: dict[PartitionKey, Hold] = {}
        self._new_holds: dict[PartitionKey, Hold] = {}
        # Partitions that have been read to their end.
        self._reached: set[PartitionKey] = set()
        # The offset after the last message that was taken.
        self._next_offsets: dict[PartitionKey, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, messages: Iterable[Message]) -> None:
        """Takes messages as they come from the bus."""
        for message in messages:
            key = partition_of(message)
            end = None
            if self._ends is not None:
                end = self._ends.get(key, 0)
            if end is not None and message.offset + 1 >= end:
                self._reached.add(key)
            if key not in self._holds and (end is None or message.offset < end):
                self._queues.setdefault(key, deque()).append(message)
                self._next_offsets[key] = message.offset + 1

    def reach_end(self, key: PartitionKey) -> None:
        """Notes that a partition has no more messages now."""
        self._reached.add(key)

    def is_reached(self, key: PartitionKey) -> bool:
        """Returns whether a partition with an end has nothing more to give before it."""
        if self._ends is None:
            return False
        is_empty = not self._queues.get(key)
        return is_empty and (key in self._reached or self._ends.get(key, 0) == 0 or key in self._holds)

    def take_next(self, now: int) -> Message | None:
        """Returns the next message that is due; partitions take turns."""
        for key in list(self._queues):
            queue = self._queues.pop(key)
            due = self._due_time(queue[0])
            if due is not None and due > now:
                self._holds[key] = self._new_holds[key] = Hold(key, queue[0].offset, due)
                continue
            message = queue.popleft()
            if queue:
                # The partition has had its turn, so it goes to the end.
                self._queues[key] = queue
            return message
        return None

    def hold(self, key: PartitionKey, until: int) -> None:
        """Puts a partition on hold until a time: the messages that are not opened are given back."""
        queue, previous = self._queues.pop(key, None), self._holds.get(key)
        if previous:
            self._holds[key] = previous._replace(until=max(until, previous.until))
        else:
            if queue:
                offset = queue[0].offset
            else:
                offset = self._next_offsets[key]
            self._holds[key] = self._new_holds[key] = Hold(key, offset, until)

    def take_new_holds(self) -> list[Hold]:
        """Returns the partitions that were put on hold since the last time."""
        new, self._new_holds = self._new_holds, {}
        return list(new.values())

    def release(self, now: int) -> list[PartitionKey]:
        """Returns the partitions whose hold is over at a time."""
        over = [hold.key for hold in self._holds.values() if hold.until <= now]
        for key in over:
            del self._holds[key]
            self._reached.discard(key)
        return over

    def drop(self, keys: set[PartitionKey]) -> None:
        """Some partitions are no longer those of this worker."""
        for key in keys:
            self._queues.pop(key, None)
            self._holds.pop(key, None)
            self._new_holds.pop(key, None)
            self._reached.discard(key)
            self._next_offsets.pop(key, None)
