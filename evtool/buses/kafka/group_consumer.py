"""Kafka as the bus of a worker: two members of a consumer group, and a producer.

One member has the topics with events, the other one the retry topics. A single member for both would not do: the group
gives each member equally many partitions, whatever their topics, and a new worker could get those of retry topics only.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from evtool.buses.base import Message
from evtool.buses.encoding import Content
from evtool.buses.kafka.client import import_library
from evtool.buses.kafka.connection import KafkaConnection
from evtool.buses.kafka.group_member import GroupMember, Partitions
from evtool.buses.kafka.producer import Producer
from evtool.buses.worker.handover import Outgoing
from evtool.buses.worker.outbox import Listener
from evtool.buses.worker.window import PartitionKey

# Seconds until a message counts as not confirmed and is sent again.
DELIVERY_TIMEOUT = 30.0
# Seconds.
REQUEST_TIMEOUT = 10.0
# Seconds between two requests for the offsets of the other workers.
OTHERS_INTERVAL = 1.0


class KafkaWorkerBus:
    """The members of a consumer group that a worker has, and a producer. Close it."""

    def __init__(
        self,
        connection: KafkaConnection,
        ends: Mapping[PartitionKey, int] | None,
        note: Callable[[str], None] = lambda _text: None,
    ):
        self._connection, self._ends, self._note = connection, ends, note
        self._library = import_library()
        self._producer = Producer(connection, delivery_timeout=DELIVERY_TIMEOUT)
        # By topic.
        self._members: dict[str, GroupMember] = {}
        self._next_question = 0.0

    def subscribe(self, topics: Iterable[str], retry_topics: Iterable[str], worker: Partitions) -> None:
        """Joins the group."""
        for names in (list(topics), list(retry_topics)):
            if names:
                has_ends = self._ends is not None
                member = GroupMember(self._connection, worker, self._note, reports_ends=has_ends)
                self._members |= dict.fromkeys(names, member)
                member.subscribe(names)

    def close(self) -> None:
        """Leaves the group; the client commits what is stored."""
        for member in self._list_members():
            member.close()
        self._producer.close()

    @property
    def assigned(self) -> set[PartitionKey] | None:
        """The partitions of this worker; None while a member has no answer from the group."""
        keys: set[PartitionKey] = set()
        for member in self._list_members():
            if member.assigned is None:
                return None
            keys |= member.assigned
        return keys

    # --- messages in -------------------------------------------------------------------------------------------------

    def take(self, most: int, seconds: float) -> list[Message]:
        """Messages, at once if there are some, else the first ones within some seconds."""
        members = self._list_members()
        messages: list[Message] = []
        for member in members[:-1]:
            messages += member.take(most, 0)
        if messages:
            seconds = 0
        return messages + members[-1].take(most, seconds)

    def pause(self) -> None:
        """Takes no more messages of any partition until `resume`."""
        for member in self._list_members():
            member.pause()

    def resume(self) -> None:
        """Ends `pause`; partitions on hold stay so."""
        for member in self._list_members():
            member.resume()

    def hold(self, key: PartitionKey, offset: int) -> None:
        """Gives the messages of a partition back from an offset on, and takes none until it is released."""
        self._members[key.topic].hold(key, offset)

    def release(self, key: PartitionKey) -> None:
        """Ends `hold`."""
        self._members[key.topic].release(key)

    # --- messages out ------------------------------------------------------------------------------------------------

    def send(self, outgoing: Outgoing, listener: Listener) -> None:
        """Sends a message; `poll_sent` calls the listener."""
        self._producer.send(outgoing.topic, Content(outgoing.key, outgoing.value, outgoing.headers), listener)

    def poll_sent(self, seconds: float = 0) -> None:
        """Calls the listeners of messages whose reports have come."""
        self._producer.poll(seconds)

    # --- commits -----------------------------------------------------------------------------------------------------

    def commit(self, watermarks: Mapping[PartitionKey, int]) -> None:
        """Begins to commit partitions up to their watermarks."""
        for member in self._list_members():
            own = {key: offset for key, offset in watermarks.items() if self._members[key.topic] is member}
            if own and not member.is_committing:
                member.commit(own)

    @property
    def is_committing(self) -> bool:
        """Whether a commit is under way."""
        return any(member.is_committing for member in self._list_members())

    def take_committed(self, seconds: float = 0) -> Mapping[PartitionKey, int]:
        """Returns the partitions that were committed since the last time."""
        committed: dict[PartitionKey, int] = {}
        for member in self._list_members():
            committed |= member.take_committed(seconds)
            if committed:
                seconds = 0
        return committed

    def is_done_by_others(self) -> bool:
        """Returns whether the group has committed all partitions up to their ends; asked once in a while."""
        if self._ends is None or time.monotonic() < self._next_question:
            return False
        self._next_question = time.monotonic() + OTHERS_INTERVAL
        partitions = [self._library.TopicPartition(*key) for key, end in self._ends.items() if end]
        consumer = self._list_members()[0].consumer
        try:
            if partitions:
                committed = consumer.committed(partitions, timeout=REQUEST_TIMEOUT)
            else:
                committed = []
        except self._library.KafkaException:
            return False
        return all(entry.offset >= self._ends[PartitionKey(entry.topic, entry.partition)] for entry in committed)

    def _list_members(self) -> list[GroupMember]:
        """Returns the members; that of the topics with events is the last one, for which `take` waits."""
        return list(dict.fromkeys(reversed(self._members.values())))
