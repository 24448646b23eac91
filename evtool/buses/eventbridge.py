"""EventBridge as a bus: sends events with PutEvents. EventBridge cannot be read."""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from evtool.aws.client import AwsSettings, describe, explain_errors, get_code, open_client
from evtool.aws.put_events import MAX_ENTRIES, measure_entry
from evtool.buses.base import ALWAYS, SendReport, TimeRange
from evtool.buses.settings import BusSettings
from evtool.errors import UsageError
from evtool.events.event import Event
from evtool.routes.models import BUS_NAME
from evtool.schemas.validation import ValidationResult

# AWS says "less than 1 MB" of all entries of a request, not whether a megabyte has 1,000,000 or 1,048,576 bytes
MAX_BATCH_BYTES = 1_000_000
# Other codes are answers that a retry would not change.
RETRYABLE = ("InternalFailure", "ThrottlingException")
MAX_RETRIES = 5
# Seconds before a retry. The pause doubles.
FIRST_PAUSE, MAX_PAUSE = 0.2, 5.0
PARAMETERS = {
    "region": "the region of the bus",
    "endpoint": "a URL instead of AWS's, such as http://127.0.0.1:4010",
    "profile": "the profile of AWS's configuration",
    "check": "no: send without checking first that the bus exists",
}
CLOUDEVENT_NOTE = "CloudEvents are sent as type, source, time and data: EventBridge gives each event a new id"
_ARN = re.compile(r"arn:[^:]+:events:[^:]*:[^:]*:event-bus/(.+)")

OpenClient = Callable[[], Any]


class _Item(NamedTuple):
    """An event, and the entry of PutEvents that it is sent as."""

    event: Event
    entry: Mapping[str, Any]


class EventBridgeBus:
    """An event bus of EventBridge, or of something that has its API."""

    def __init__(
        self,
        name: str,
        bus: str,
        open_client: OpenClient,
        *,
        checks_bus: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._name, self._bus, self._open_client, self._sleep = name, bus, open_client, sleep
        self._checks_bus = checks_bus
        self._has_sent = False

    @property
    def name(self) -> str:
        """The bus as messages name it."""
        return self._name

    def read(self, times: TimeRange = ALWAYS) -> Iterator[ValidationResult]:  # noqa: ARG002
        """Raises UsageError: EventBridge has no operation that reads events."""
        raise UsageError(
            f"{self.name}: EventBridge cannot be read; a rule with a target such as SQS gets its events, "
            "and `publish --unwrap` reads these"
        )

    def send(self, events: Iterable[Event]) -> Iterator[SendReport]:
        """Sends events in batches; an event is confirmed when its result in the response has an id."""
        client = self._open_client()
        self._check_bus(client)
        batch: list[_Item] = []
        size = 0
        for event in events:
            entry = build_entry(event, self._bus)
            if isinstance(entry, str):
                yield SendReport(event, entry)
                continue
            bytes_of_entry = measure_entry(entry)
            if bytes_of_entry > MAX_BATCH_BYTES:
                yield SendReport(event, f"too large: {bytes_of_entry:,} bytes; EventBridge takes {MAX_BATCH_BYTES:,}")
                continue
            if len(batch) == MAX_ENTRIES or size + bytes_of_entry > MAX_BATCH_BYTES:
                yield from self._send_batch(client, batch)
                batch, size = [], 0
            batch.append(_Item(event, entry))
            size += bytes_of_entry
        if batch:
            yield from self._send_batch(client, batch)

    def _check_bus(self, client: Any) -> None:
        """Raises UsageError unless the bus exists: AWS accepts events for an unknown bus, and drops them."""
        if not self._checks_bus:
            return
        from botocore.exceptions import ClientError  # noqa: PLC0415  (an extra, and slow to import)

        try:
            with explain_errors(f"{self.name}: cannot check that the bus exists (events:DescribeEventBus)"):
                client.describe_event_bus(Name=self._bus)
        except ClientError as error:
            code = get_code(error)
            if code == "ResourceNotFoundException":
                where = f"there is no event bus {self._bus} in {client.meta.region_name}"
                raise UsageError(f"{self.name}: {where}; AWS would accept the events, and drop them") from None
            # A local endpoint may not have this operation.
            if code not in ("UnknownOperationException", "NotImplemented", "501"):
                raise UsageError(f"{self.name}: cannot check that the bus exists: {describe(error)}") from None

    def _send_batch(self, client: Any, batch: Sequence[_Item]) -> Iterator[SendReport]:
        """Sends a batch, and again what has failed for a reason that may pass."""
        for number in range(MAX_RETRIES + 1):
            failed: list[_Item] = []
            for item, code, message in self._put(client, batch):
                if code in RETRYABLE and number < MAX_RETRIES:
                    failed.append(item)
                else:
                    note = None
                    if item.event.payload_key == "data" and message is None:
                        note = CLOUDEVENT_NOTE
                    yield SendReport(item.event, message, note)
            if not failed:
                return
            batch = failed
            # jitter, so that several senders do not come back at the same time
            self._sleep(min(FIRST_PAUSE * 2**number, MAX_PAUSE) * random.uniform(0.5, 1))  # noqa: S311

    def _put(self, client: Any, batch: Sequence[_Item]) -> Iterator[tuple[_Item, str, str | None]]:
        """Each item of a batch with the code and the description of its failure; None if it is confirmed."""
        from botocore.exceptions import ClientError  # noqa: PLC0415  (an extra, and slow to import)

        try:
            with explain_errors(self.name):
                response = client.put_events(Entries=[item.entry for item in batch])
        except ClientError as error:
            yield from ((item, get_code(error), describe(error)) for item in batch)
            return
        except UsageError as error:
            if not self._has_sent:
                raise
            # what was confirmed before is still reported
            yield from ((item, "", str(error)) for item in batch)
            return
        self._has_sent = True
        results = response.get("Entries")
        if not isinstance(results, list) or len(results) != len(batch):
            count = "no results"
            if isinstance(results, list):
                count = f"{len(results)} results"
            yield from ((item, "", f"the response has {count} for {len(batch)} entries") for item in batch)
            return
        for item, result in zip(batch, results, strict=True):
            code, message = str(result.get("ErrorCode") or ""), str(result.get("ErrorMessage") or "")
            if code or message:
                yield item, code, ": ".join(filter(None, (code, message)))
            else:
                problem = None
                if not result.get("EventId"):
                    problem = "the response has neither an id nor an error"
                yield item, "", problem


def build_entry(event: Event, bus: str) -> dict[str, Any] | str:
    """Returns the entry of PutEvents for an event, or why it cannot be sent. Copies the payload byte for byte."""
    detail = _read_detail(event)
    if detail is None:
        return f"its {event.payload_key} is not a JSON object, which EventBridge requires"
    entry: dict[str, Any] = {
        "Source": event.source,
        "DetailType": event.type,
        "Detail": detail,
        "EventBusName": bus,
    }
    if event.time is not None and event.has_own_time:
        try:
            time_of_event = datetime.fromisoformat(event.time)
        except ValueError:
            return f"its time {event.time[:40]} is not a timestamp that can be sent"
        if time_of_event.tzinfo is None:
            time_of_event = time_of_event.replace(tzinfo=UTC)
        entry["Time"] = time_of_event
    resources = event.document.get("resources")
    if event.payload_key != "data" and isinstance(resources, list) and resources:
        entry["Resources"] = [str(item) for item in resources]
    return entry


def _read_detail(event: Event) -> str | None:
    """Returns the JSON text of the payload; None if it is not an object."""
    payload = ""
    if event.has_json_payload:
        payload = event.detail
    if event.payload_key == "data" and payload is None:
        # The data of a CloudEvent is optional.
        return "{}"
    if not isinstance(payload, Mapping):
        return None
    values = msgspec.json.decode(event.raw, type=dict[str, msgspec.Raw])
    if event.payload_key in values:
        return bytes(values[event.payload_key]).decode()
    # The payload comes from data_base64.
    return msgspec.json.encode(payload).decode()


def open_bus(settings: BusSettings) -> EventBridgeBus:
    """Returns the bus with some settings. Raises UsageError."""
    url = settings.url
    url.check_parameters(PARAMETERS)
    if url.path:
        bus = f"{url.host}/{url.path}"
    else:
        bus = url.host
    match = _ARN.fullmatch(bus)
    if not re.fullmatch(BUS_NAME, match[1] if match else bus):
        raise UsageError(f"{settings.display_name}: name the event bus: eventbridge://BUS?region=REGION")
    region, endpoint, profile, check = (url.parameters.get(name) for name in PARAMETERS)
    if endpoint is not None and not re.match(r"https?://[^/]", endpoint):
        raise UsageError(f"{settings.display_name}: endpoint is a URL such as http://127.0.0.1:4010")
    if check not in (None, "yes", "no"):
        raise UsageError(f"{settings.display_name}: check is yes or no")
    aws = AwsSettings(region, endpoint, profile, url.client)
    return EventBridgeBus(settings.display_name, bus, lambda: open_client("events", aws), checks_bus=check != "no")
