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

# Bytes of texts that are proven together. More would not fit into the processor's cache.
_GROUP_BYTES = 1 << 15


class ValidationResult(NamedTuple):
    """The result for one event, or for a text without an event.

    With `is_next_buffered`, the next text of a stream is already here, so that the caller need not wait for it.
    """

    file: str
    line: int
    event: Event | None
    findings: tuple[Finding, ...] = ()
    is_next_buffered: bool = False

    @property
    def is_unreadable(self) -> bool:
        """Whether the result is about a file that could not be read."""
        return any(finding.code == "EV001" for finding in self.findings)

    @property
    def is_valid(self) -> bool:
        """Whether the event has no error. Warnings do not make it invalid."""
        if self.event is None:
            return False
        if not self.findings:
            return True
        return all(finding.severity != "error" for finding in self.findings)


class Rules(NamedTuple):
    """The rules for events. Without schemas only the envelope is checked.

    `no_schema` is the result for a type without a schema: error, warn or ignore.
    """

    schemas: Schemas | None
    no_schema: str = "error"

    def check(self, event: Event) -> tuple[Finding, ...]:
        """The findings of an event against the schema of its type."""
        if self.schemas is None:
            return ()
        return tuple(self.schemas.check(event, no_schema=self.no_schema))

    def find_check(self, event_type: str, source: str, payload_key: str) -> Callable[[Any], bool] | None:
        """The function that decides whether a payload fits its schema, or None. See `Schemas.find_check`."""
        if self.schemas is None:
            return _accept
        return self.schemas.find_check(event_type, source, payload_key)

    def list_properties(self, event: Event, path: Sequence[str | int]) -> Collection[str]:
        """The property names that the schema of an event has for the object at a path of its payload."""
        if self.schemas is None:
            return ()
        return self.schemas.list_properties(event, path)

    def is_forbidden(self, event: Event, path: Sequence[str | int], value: Any) -> bool:
        """Whether the schema of an event never allows a value at a path of the event."""
        return self.schemas is not None and self.schemas.is_forbidden(event, path, value)


def _accept(payload: Any) -> bool:  # noqa: ARG001
    return True


def _keep(event: Event) -> Event:
    return event


def validate_events(
    texts: Iterable[SourceText | Finding],
    rules: Rules,
    defaults: EventDefaults,
    *,
    identity: PayloadIdentity = PayloadIdentity(),  # noqa: B008  (a constant)
    change: Callable[[Event], Event] = _keep,
    fast_path: FastPath | None = None,
) -> Iterator[ValidationResult]:
    """Yields a result for every event, after `change`, and for every text without an event.

    An event that `fast_path` proves to be valid must be so after `change`, too.
    """
    for text, proven in _prove_texts(texts, fast_path):
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
    texts: Iterable[SourceText | Finding], fast_path: FastPath | None
) -> Iterator[tuple[SourceText | Finding, Event | None]]:
    """The texts, with the events of those that are proven to be valid."""
    if fast_path is None:
        for text in texts:
            yield text, None
        return
    for group in _group_texts(texts):
        if isinstance(group, Finding):
            yield group, None
        else:
            yield from zip(group, fast_path.read_events(group), strict=True)


def _group_texts(texts: Iterable[SourceText | Finding]) -> Iterator[list[SourceText] | Finding]:
    """Groups texts up to a size. Findings stay between the groups, in the order of the input."""
    group: list[SourceText] = []
    size = 0
    for text in texts:
        if isinstance(text, Finding):
            yield group
            group, size = [], 0
            yield text
            continue
        group.append(text)
        size += len(text.raw)
        # An event on standard input must not wait for one that has not arrived.
        if size >= _GROUP_BYTES or (text.file == STDIN_NAME and not text.is_next_buffered):
            yield group
            group, size = [], 0
    yield group
