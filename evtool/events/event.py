"""The Event value, and the defaults for events that have no id or time.

Four forms are read: the EventBridge envelope, CloudEvents 1.0 structured JSON, the entries of a PutEvents request, and
a bare payload whose type the caller names. The first two are kept byte for byte; the others get an EventBridge envelope
around the exact text of their payload: number forms survive.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from evtool.readers.json_text import parse_json
from evtool.readers.locations import SourceMap


class Event(NamedTuple):
    """One event. `document` is the whole envelope as routes see it, `raw` its exact bytes."""

    id: str
    type: str
    source: str
    time: str | None
    raw: bytes
    document: Mapping[str, Any]
    payload_key: str  # the key of the payload in the envelope: "detail" or "data"
    source_map: SourceMap | None = None
    has_own_id: bool = True  # False when the id was made here, because the input had none
    has_own_time: bool = True  # False when the time is that of its arrival: it says nothing about its content
    bus: str | None = None  # the event bus that it names; None means that of its cause, or the default one

    @property
    def detail(self) -> Any:
        """The payload: what a schema describes. JSON in `data_base64` is decoded."""
        if self.payload_key != "data":
            return self.document.get(self.payload_key)
        from evtool.events.cloudevents import decode_data  # noqa: PLC0415  (many projects have no CloudEvents)

        return decode_data(self.document)

    @property
    def has_json_payload(self) -> bool:
        """Whether the payload is JSON: the data of a CloudEvent may also be text or bytes."""
        if self.payload_key != "data":
            return True
        from evtool.events.cloudevents import has_json_data  # noqa: PLC0415  (many projects have no CloudEvents)

        return has_json_data(self.document)


class LazyDocument(Mapping[str, Any]):
    """The document of an event that is parsed when something in it is asked for: most are only stored."""

    __slots__ = ("_document", "_raw")

    def __init__(self, raw: bytes):
        """`raw` is known to be strict JSON, and an object."""
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
    """What an event without an envelope needs: where ids come from, and what time it is (RFC 3339)."""

    new_id: Callable[[], str]
    now: Callable[[], str]
