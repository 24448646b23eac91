"""An event: find its envelope, its type, source and id, and give every form of it one shape.

Four forms are read: the EventBridge envelope, CloudEvents 1.0 structured JSON, the entries of a PutEvents request, and
a bare payload whose type the caller names. The first two are kept byte for byte; the others get an EventBridge envelope
around the exact text of their payload: number forms survive.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from evtool.readers.locations import Origin


class Event(NamedTuple):
    """One event. `document` is the whole envelope as routes see it, `raw` its exact bytes."""

    id: str
    type: str
    source: str
    time: str | None
    raw: bytes
    document: Mapping[str, Any]
    payload: str  # the key of the payload in the envelope: "detail" or "data"
    origin: Origin | None = None
    identified: bool = True  # False when the id was made here, because the input had none

    @property
    def detail(self) -> Any:
        """The payload: what a schema describes."""
        return self.document.get(self.payload)


class Stamp(NamedTuple):
    """What an event without an envelope needs: where ids come from, and what time it is (RFC 3339)."""

    new_id: Callable[[], str]
    now: Callable[[], str]


# --- one form each ---------------------------------------------------------------------------------------------------
