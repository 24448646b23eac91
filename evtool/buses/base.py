"""The contract of a bus: the messages that it carries, which of them are read, and what sending an event results in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, Self

from evtool.buses.settings import BusSettings
from evtool.events.event import Event
from evtool.schemas.validation import ValidationResult

Header = tuple[str, bytes | None]


class Message(NamedTuple):
    """A message of a bus as it is. Headers keep their order; names may repeat, values may be null."""

    topic: str
    partition: int
    offset: int
    # When the message was written, in milliseconds since 1970.
    timestamp: int | None
    key: bytes | None
    # None for a tombstone, which deletes its key.
    value: bytes | None
    headers: Sequence[Header] = ()

    @property
    def position(self) -> str:
        """Where it is: the topic, the partition and the offset. No other message has it."""
        return f"{self.topic}-{self.partition}-{self.offset}"


class TimeRange(NamedTuple):
    """The times of the messages to read, in milliseconds since 1970; None means no bound."""

    since: int | None = None
    # The end is not in the range.
    until: int | None = None

    def includes(self, time: int | None) -> bool:
        """Returns whether a time lies in the range. A message without a time is only in a range without bounds."""
        if time is None:
            return self == ALWAYS
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


ALWAYS = TimeRange()


class SendReport(NamedTuple):
    """What sending an event resulted in: without an error the bus has confirmed it."""

    event: Event
    error: str | None = None
    # A difference between the event and what the bus has. It is the same for many events.
    note: str | None = None


class Failure(str):
    """Why a bus has not confirmed a message. `is_final`: it will never take this message."""

    is_final: bool

    def __new__(cls, reason: str, *, is_final: bool) -> Self:
        """The reason for people."""
        failure = super().__new__(cls, reason)
        failure.is_final = is_final
        return failure


class Bus(Protocol):
    """A bus that events are read from and sent to. It opens a connection when it is read or sent to, not before."""

    @property
    def name(self) -> str:
        """The bus as messages name it: never with secrets."""

    def read(self, times: TimeRange = ALWAYS) -> Iterator[ValidationResult]:
        """Returns the events on the bus when reading starts, and a finding for each message that is not an event.

        Reading changes nothing on the bus. The same message always gives the same event. Raises UsageError if the bus
        cannot be used.
        """

    def send(self, events: Iterable[Event]) -> Iterator[SendReport]:
        """Sends events, and yields a report for each when the bus has confirmed or refused it, in any order.

        Raises UsageError if the bus cannot be used.
        """


class Kind(NamedTuple):
    """A kind of bus: the form of its URLs, and how a bus is made of its settings. Opening connects to nothing."""

    form: str
    open: Callable[[BusSettings], Bus]
    is_readable: bool = True
