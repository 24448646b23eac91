"""Reads the events in texts and validates them against their schemas."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from evtool.events.envelopes import read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.payload_identity import PayloadIdentity
from evtool.findings.finding import Finding
from evtool.readers.files import STDIN_NAME, SourceText
from evtool.schemas.fast_path import FastPath
from evtool.schemas.validator import Schemas

_GROUP_BYTES = 1 << 15  # of texts that are proven together; more would leave the cache of the processor


class ValidationResult(NamedTuple):
    """What is to be said of one event, or of a text that holds none. Without an error the event is well."""

    file: str
    line: int
    event: Event | None
    findings: tuple[Finding, ...] = ()
    is_next_buffered: bool = False  # of a stream: the next text is here already, it need not be waited for

    @property
    def is_unreadable(self) -> bool:
        """Whether this is about a file that could not be read at all."""
        return any(finding.code == "EV001" for finding in self.findings)

    @property
    def is_valid(self) -> bool:
        """Whether the event may go on its way: warnings do not stop it."""
        if self.event is None or not self.findings:
            return self.event is not None
        return all(finding.severity != "error" for finding in self.findings)


class Rules(NamedTuple):
    """What events are held against. Without schemas only the envelope is judged."""

    schemas: Schemas | None
    no_schema: str = "error"  # what a type without a schema is: error | warn | ignore

    def check(self, event: Event) -> tuple[Finding, ...]:
        """What the schema of the event finds wrong with it."""
        if self.schemas is None:
            return ()
        return tuple(self.schemas.check(event, no_schema=self.no_schema))

    def find_check(self, event_type: str, source: str, payload_key: str) -> Callable[[Any], bool] | None:
        """What decides whether a payload fits its schema; None if it is not known yet. See `Schemas.find_check`."""
        if self.schemas is None:
            return lambda payload: True  # noqa: ARG005
        return self.schemas.find_check(event_type, source, payload_key)

    def list_properties(self, event: Event, path: Sequence[str | int]) -> Collection[str]:
        """The property names that the schema of an event has for the object at a path of its payload."""
        if self.schemas is None:
            return ()
        return self.schemas.list_properties(event, path)

    def is_forbidden(self, event: Event, path: Sequence[str | int], value: Any) -> bool:
        """Whether the schema of an event allows a value in no payload at a path of the event."""
        return self.schemas is not None and self.schemas.is_forbidden(event, path, value)


def validate_events(
    texts: Iterable[SourceText | Finding],
    rules: Rules,
    defaults: EventDefaults,
    *,
    identity: PayloadIdentity = PayloadIdentity(),  # noqa: B008  (a constant)
    change: Callable[[Event], Event] = lambda event: event,
    fast_path: FastPath | None = None,
) -> Iterator[ValidationResult]:
    """A result for every event, after `change`, and for every text without an event. Bad texts do not stop others.

    An event that `fast_path` proves to be valid must be so after `change`, too.
    """
    for text, proven in _prove_texts(texts, fast_path) if fast_path else ((text, None) for text in texts):
        if isinstance(text, Finding):
            yield ValidationResult(text.file or "", text.line or 1, None, (text,))
            continue
        if proven:
            yield ValidationResult(text.file, text.line, change(proven), (), text.is_next_buffered)
            continue
        for item in read_events(text, defaults, identity=identity):
            if isinstance(item, Finding):
                yield ValidationResult(text.file, item.line or text.line, None, (item,), text.is_next_buffered)
            else:
                changed = change(item)
                yield ValidationResult(text.file, text.line, changed, rules.check(changed), text.is_next_buffered)


def _prove_texts(
    texts: Iterable[SourceText | Finding], fast_path: FastPath
) -> Iterator[tuple[SourceText | Finding, Event | None]]:
    """The texts, with the events of those that are proven to be valid. Takes together what need not be waited for."""
    group: list[SourceText] = []
    size = 0
    for text in texts:
        if isinstance(text, Finding):
            yield from zip(group, fast_path.read_events(group), strict=True)
            group, size = [], 0
            yield text, None
            continue
        group.append(text)
        size += len(text.raw)
        if size >= _GROUP_BYTES or (text.file == STDIN_NAME and not text.is_next_buffered):
            yield from zip(group, fast_path.read_events(group), strict=True)
            group, size = [], 0
    yield from zip(group, fast_path.read_events(group), strict=True)
