"""Kafka and Event Hubs as a bus: reads the events of topics, and sends events to a topic."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial

from evtool.buses.base import ALWAYS, Message, SendReport, TimeRange
from evtool.buses.decoding import decode_messages, is_tombstone
from evtool.buses.encoding import encode_event
from evtool.buses.kafka.client import check_topics, read_message_limit
from evtool.buses.kafka.connection import KafkaConnection, build_connection
from evtool.buses.kafka.producer import Producer
from evtool.buses.kafka.reader import read_messages
from evtool.buses.settings import BusSettings
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.schemas.validation import ValidationResult


class KafkaBus:
    """Topics of a cluster."""

    def __init__(self, connection: KafkaConnection):
        self.connection = connection

    @property
    def name(self) -> str:
        """The bus as messages name it."""
        return self.connection.name

    def read(self, times: TimeRange = ALWAYS) -> Iterator[ValidationResult]:
        """Yields the events in the topics; `times` are those at which the messages were written."""
        for messages in self.read_messages(times):
            for message, item in decode_messages(messages):
                if isinstance(item, Finding):
                    yield ValidationResult(message.position, item.line or 1, None, (item,))
                else:
                    yield ValidationResult(message.position, 1, item)

    def read_messages(self, times: TimeRange = ALWAYS) -> Iterator[list[Message]]:
        """Yields the messages in the topics, in batches; without tombstones if the URL says so."""
        with closing(read_messages(self.connection, times)) as batches:
            for messages in batches:
                if self.connection.skips_tombstones:
                    yield [message for message in messages if not is_tombstone(message)]
                else:
                    yield messages

    def send(self, events: Iterable[Event]) -> Iterator[SendReport]:
        """Sends events to the first topic."""
        check_topics(self.connection, [self.connection.topic])
        limit = None
        if not self.connection.is_event_hubs:
            limit = read_message_limit(self.connection, self.connection.topic)
        reports: list[SendReport] = []
        with Producer(self.connection, message_limit=limit) as producer:
            for event in events:
                content = encode_event(event, self.connection.key_path)
                producer.send(self.connection.topic, content, partial(_add_report, reports, event))
                producer.poll()
                yield from reports
                reports.clear()
            while producer.pending:
                producer.poll(0.1)
                yield from reports
                reports.clear()
        yield from reports


def open_bus(settings: BusSettings) -> KafkaBus:
    """Returns the bus with some settings. Raises UsageError."""
    return KafkaBus(build_connection(settings))


def _add_report(reports: list[SendReport], event: Event, error: str | None) -> None:
    reports.append(SendReport(event, error))
