"""The Event value, and the defaults for events without an id or time.

Events have four input forms: the EventBridge envelope, CloudEvents 1.0 structured JSON, the entries of a PutEvents
request, and a payload whose type the caller names. The first two are kept byte for byte. The others get an EventBridge
envelope around the exact text of their payload, so that numbers keep their form:

    payload    {"total": 1.10}
    event      {"version": "0", "id": "...", "detail-type": "order.created", ..., "detail": {"total": 1.10}}
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from evtool.readers.json_text import parse_json
from evtool.readers.locations import SourceMap


class Event(NamedTuple):
    """One event. `document` is the whole parsed document, which routes match; `raw` is its text."""

    id: str
    type: str
    source: str
    time: str | None
    raw: bytes
    document: Mapping[str, Any]
    # The key of the payload in the envelope: "detail" or "data".
    payload_key: str
    source_map: SourceMap | None = None
    # False if evtool made the id, because the input has none.
    has_own_id: bool = True
    # False if the time is that of the arrival. Then the time of a repeated event may differ.
    has_own_time: bool = True
    # The event bus in the input. None means the bus of its cause, or the default bus.
    bus: str | None = None

    @property
    def detail(self) -> Any:
        """The payload, which schemas describe. JSON in `data_base64` is decoded."""
        if self.payload_key != "data":
            return self.document.get(self.payload_key)
        # Imported late: many projects have no CloudEvents.
        from evtool.events.cloudevents import decode_data  # noqa: PLC0415

        return decode_data(self.document)

    @property
    def has_json_payload(self) -> bool:
        """Whether the payload is JSON. The data of a CloudEvent may also be text or bytes."""
        if self.payload_key != "data":
            return True
        from evtool.events.cloudevents import has_json_data  # noqa: PLC0415

        return has_json_data(self.document)


class LazyDocument(Mapping[str, Any]):
    """The document of an event, parsed on first use. Most events of `serve` are only stored."""

    __slots__ = ("_document", "_raw")

    def __init__(self, raw: bytes):
        """`raw` must be a JSON object that was checked before."""
        self._raw = raw
        self._document: dict[str, Any] | None = None

    def _parse(self) -> dict[str, Any]:
        if self._document is None:
            document: dict[str, Any] = parse_json(self._raw, max_depth=1000)
            self._document = document
        return self._document

    def __getitem__(self, key: str) -> Any:
        return self._parse()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parse())

    def __len__(self) -> int:
        return len(self._parse())


class EventDefaults(NamedTuple):
    """The functions that return a new id and the current time (RFC 3339) for an event without them."""

    new_id: Callable[[], str]
    now: Callable[[], str]
