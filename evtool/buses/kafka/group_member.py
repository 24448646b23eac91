"""A member of a consumer group: a classic group, with offsets that are committed by watermark.

Offsets are stored locally and committed by a thread of their own. Storing one of a partition that was lost fails here,
while the broker would accept the commit of such a message: that is why no message is ever committed by itself.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol

from evtool.buses.base import Message
from evtool.buses.kafka.client import ClientErrors, clean_reason, import_library, open_consumer
from evtool.buses.kafka.connection import KafkaConnection
from evtool.buses.kafka.messages import convert_message
from evtool.buses.worker.window import PartitionKey
from evtool.errors import UsageError

# Milliseconds until the partitions of a killed worker go to other workers.
SESSION_TIMEOUT = "8000"
# Seconds after a commit that failed.
COMMIT_RETRY = 0.3
# Seconds for a commit under way at the end.
STOP_TIMEOUT = 10.0
_REFUSALS = ("TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "INVALID_GROUP_ID")


class Partitions(Protocol):
    """The callbacks for partitions that a worker gets or loses, or has read to the end."""

    def assign(self, keys: Iterable[PartitionKey]) -> None:
        """Partitions are given to this worker."""

    def revoke(self, keys: Iterable[PartitionKey]) -> Mapping[PartitionKey, int]:
        """Partitions are about to go to others. Returns how far each is finished."""

    def lose(self, keys: Iterable[PartitionKey]) -> None:
        """Partitions have gone to others."""

    def reach_end(self, key: PartitionKey) -> None:
        """Notes that a partition has no more messages now."""


class GroupMember:
    """A consumer that has joined the group for some topics. Close it."""

    def __init__(
        self, connection: KafkaConnection, worker: Partitions, note: Callable[[str], None], *, reports_ends: bool
    ):
        self._connection, self._worker, self._note = connection, worker, note
        self._library = import_library()
        self._errors = ClientErrors(connection)
        defaults = {"session.timeout.ms": SESSION_TIMEOUT, "queued.max.messages.kbytes": "32768"}
        defaults |= {"max.poll.interval.ms": "300000"}
        own = {name: value for name, value in defaults.items() if name not in connection.settings}
        self.consumer = open_consumer(
            connection,
            self._errors,
            **own,
            group_id=connection.group,
            group_protocol="classic",
            partition_assignment_strategy="cooperative-sticky",
            # The client commits the stored offsets at a rebalance and at the end.
            enable_auto_commit=True,
            auto_commit_interval_ms=1000,
            enable_partition_eof=reports_ends,
        )
        self._committer = _Committer(self.consumer, self._library.KafkaException)
        self._is_paused = False
        # The offset at which a partition continues.
        self._held: dict[PartitionKey, int] = {}
        self.assigned: set[PartitionKey] | None = None

    def subscribe(self, topics: Iterable[str]) -> None:
        """Joins the group."""
        callbacks = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
        self.consumer.subscribe(list(topics), **callbacks)

    def close(self) -> None:
        """Leaves the group; the client commits what is stored."""
        self._committer.close()
        self.consumer.close()

    def take(self, most: int, seconds: float) -> list[Message]:
        """Messages, at once if there are some, else the first ones within some seconds."""
        records = self.consumer.consume(most, 0)
        # `consume` would wait until it has as many messages as it may take.
        if not records and seconds:
            records = self.consumer.consume(1, seconds)
            if records and most > 1:
                records += self.consumer.consume(most - 1, 0)
        self._errors.check()
        messages = []
        for record in records:
            if record.error() is None:
                messages.append(convert_message(record))
            else:
                self._handle_error(record)
        return messages

    def pause(self) -> None:
        """Takes no more messages of any partition until `resume`."""
        self._is_paused = True
        self.consumer.pause(self.consumer.assignment())

    def resume(self) -> None:
        """Ends `pause`; partitions on hold stay so."""
        self._is_paused = False
        released = []
        for partition in self.consumer.assignment():
            if (partition.topic, partition.partition) not in self._held:
                released.append(partition)
        self.consumer.resume(released)

    def _handle_error(self, record: Any) -> None:
        error = record.error()
        name = error.name()
        if name == "_PARTITION_EOF":
            self._worker.reach_end(PartitionKey(record.topic(), record.partition()))
        elif name in _REFUSALS or error.fatal():
            raise UsageError(f"{self._connection.name}: {clean_reason(error)}")
        elif name == "_MAX_POLL_EXCEEDED":
            self._note(f"{self._connection.name}: evtool was busy for too long and left the group; it joins again")

    def hold(self, key: PartitionKey, offset: int) -> None:
        """Gives the messages of a partition back from an offset on, and takes none until it is released."""
        self._held[key] = offset
        self.consumer.pause([self._library.TopicPartition(*key)])

    def release(self, key: PartitionKey) -> None:
        """Ends `hold`."""
        partition = self._library.TopicPartition(*key, self._held.pop(key))
        self.consumer.seek(partition)
        if not self._is_paused:
            self.consumer.resume([partition])

    def commit(self, watermarks: Mapping[PartitionKey, int]) -> None:
        """Begins to commit partitions up to their watermarks."""
        self._store(watermarks)
        self._committer.start()

    @property
    def is_committing(self) -> bool:
        """Whether a commit is under way."""
        return self._committer.is_busy

    def take_committed(self, seconds: float = 0) -> Mapping[PartitionKey, int]:
        """Returns the partitions that were committed since the last time."""
        return self._committer.take(seconds)

    def _store(self, watermarks: Mapping[PartitionKey, int]) -> None:
        for key, offset in watermarks.items():
            try:
                self.consumer.store_offsets(offsets=[self._library.TopicPartition(*key, offset)])
            # The partition is no longer one of this worker.
            except self._library.KafkaException:
                self._worker.lose([key])

    def _on_assign(self, consumer: Any, partitions: list[Any]) -> None:
        keys = _keys_of(partitions)
        self.assigned = (self.assigned or set()) | keys
        self._worker.assign(keys)
        consumer.incremental_assign(partitions)
        if not partitions:
            return
        if self._is_paused:
            consumer.pause(partitions)
        else:
            # The client remembers that a partition was paused when it was lost.
            consumer.resume(partitions)

    def _on_revoke(self, _consumer: Any, partitions: list[Any]) -> None:
        keys = _keys_of(partitions)
        self._store(self._worker.revoke(keys))
        self._forget(keys)

    def _on_lost(self, _consumer: Any, partitions: list[Any]) -> None:
        keys = _keys_of(partitions)
        self._worker.lose(keys)
        self._forget(keys)

    def _forget(self, keys: set[PartitionKey]) -> None:
        self.assigned = (self.assigned or set()) - keys
        for key in keys:
            self._held.pop(key, None)


class _Committer:
    """Commits what is stored in a thread, so that neither handlers nor polls wait for the answer."""

    def __init__(self, consumer: Any, error: type[Exception]):
        self._consumer, self._error = consumer, error
        self._requests: SimpleQueue[str] = SimpleQueue()
        self._results: SimpleQueue[dict[PartitionKey, int]] = SimpleQueue()
        self.is_busy = False
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Begins a commit."""
        self.is_busy = True
        self._requests.put("commit")

    def take(self, seconds: float) -> dict[PartitionKey, int]:
        """Returns the committed offsets if a commit has ended, or ends within some seconds."""
        if not self.is_busy:
            return {}
        try:
            if seconds:
                committed = self._results.get(timeout=seconds)
            else:
                committed = self._results.get_nowait()
        except Empty:
            return {}
        self.is_busy = False
        return committed

    def close(self) -> None:
        """Ends the thread when the commit under way is over, or after a while."""
        self._requests.put("")
        self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while self._requests.get():
            try:
                committed = self._consumer.commit(asynchronous=False) or []
            # The coordinator moves, or the group is in a rebalance. Nothing is lost.
            except self._error:
                time.sleep(COMMIT_RETRY)
                self._results.put({})
                continue
            offsets = {}
            for entry in committed:
                if entry.error is None and entry.offset >= 0:
                    offsets[PartitionKey(entry.topic, entry.partition)] = entry.offset
            self._results.put(offsets)


def _keys_of(partitions: Iterable[Any]) -> set[PartitionKey]:
    return {PartitionKey(partition.topic, partition.partition) for partition in partitions}
