"""The contract between a worker and a bus: what the worker needs of the bus, and what it reports."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from evtool.buses.base import Message
from evtool.buses.worker.handover import Outgoing
from evtool.buses.worker.outbox import Listener
from evtool.buses.worker.window import PartitionKey
from evtool.delivery.settlement import SettledDelivery
from evtool.findings.finding import Finding


class WorkerBus(Protocol):
    """The bus of a worker. `take` calls the worker when it gets or loses partitions."""

    @property
    def assigned(self) -> set[PartitionKey] | None:
        """The partitions of this worker; None while the group has not given it any."""

    def take(self, most: int, seconds: float) -> list[Message]:
        """Messages of the assigned partitions, at least one of them within some seconds."""

    def pause(self) -> None:
        """Takes no more messages of any partition until `resume`."""

    def resume(self) -> None:
        """Ends `pause`."""

    def hold(self, key: PartitionKey, offset: int) -> None:
        """Gives the messages of a partition back from an offset on, and takes none until it is released."""

    def release(self, key: PartitionKey) -> None:
        """Ends `hold`."""

    def send(self, outgoing: Outgoing, listener: Listener) -> None:
        """Sends a message; `poll_sent` calls the listener with None when it is confirmed, or with the failure."""

    def poll_sent(self, seconds: float = 0) -> None:
        """Calls the listeners of messages whose reports have come; waits some seconds for the first."""

    def commit(self, watermarks: Mapping[PartitionKey, int]) -> None:
        """Begins to commit partitions up to their watermarks."""

    @property
    def is_committing(self) -> bool:
        """Whether a commit is under way."""

    def take_committed(self, seconds: float = 0) -> Mapping[PartitionKey, int]:
        """Returns the partitions that were committed since the last time. Waits some seconds for a commit to end."""

    def is_done_by_others(self) -> bool:
        """Returns whether the other workers of the group have committed all partitions up to their ends."""


class UnreadableMessage(NamedTuple):
    """A message that is not an event, and is in the dead topic now."""

    message: Message
    finding: Finding


WorkerResult = SettledDelivery | UnreadableMessage
