"""Validation: what a user names is read, identified and held against its schemas, one verdict after the other."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from evtool.events.envelopes import events_of
from evtool.events.event import Event, Stamp
from evtool.findings.finding import Finding
from evtool.readers.files import Piece
from evtool.schemas.validator import Schemas


class Verdict(NamedTuple):
    """What is to be said of one event, or of a text that holds none. Without an error the event is well."""

    file: str
    line: int
    event: Event | None
    findings: tuple[Finding, ...] = ()
    more: bool = False  # of a stream: the next text is here already, it need not be waited for

    @property
    def unread(self) -> bool:
        """Whether this is about a file that could not be read at all."""
        return any(finding.code == "EV001" for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether the event may go on its way: warnings do not stop it."""
        return self.event is not None and all(finding.severity != "error" for finding in self.findings)


class Rules(NamedTuple):
    """What events are held against. Without schemas only the envelope is judged."""

    schemas: Schemas | None
    no_schema: str = "error"  # what a type without a schema is: error | warn | ignore

    def check(self, event: Event) -> tuple[Finding, ...]:
        """What the schema of the event finds wrong with it."""
        return () if self.schemas is None else tuple(self.schemas.check(event, no_schema=self.no_schema))


def judge(
    pieces: Iterable[Piece | Finding],
    rules: Rules,
    stamp: Stamp,
    *,
    type: str | None = None,  # noqa: A002  (the option's word)
    source: str | None = None,
    change: Callable[[Event], Event] = lambda event: event,
) -> Iterator[Verdict]:
    """A verdict for every event, after `change`, and for every text that is none. A bad piece never ends the others."""
    for piece in pieces:
        if isinstance(piece, Finding):
            yield Verdict(piece.file or "", piece.line or 1, None, (piece,))
            continue
        for found in events_of(piece, stamp, type=type, source=source):
            if isinstance(found, Finding):
                yield Verdict(piece.file, found.line or piece.line, None, (found,), piece.more)
            else:
                event = change(found)
                yield Verdict(piece.file, piece.line, event, rules.check(event), piece.more)
