"""A JSON Lines file as a bus: reads its events, and appends events to it."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

from evtool.buses.base import ALWAYS, SendReport, TimeRange
from evtool.buses.settings import BusSettings
from evtool.errors import UsageError
from evtool.events.envelopes import read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.timestamps import format_timestamp, to_milliseconds
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText, read_texts
from evtool.schemas.validation import ValidationResult

SUFFIX = ".jsonl"


class FileBus:
    """The events of a file, one per line."""

    def __init__(self, file: Path, name: str):
        self.file, self._name = file, name

    @property
    def name(self) -> str:
        """The bus as messages name it."""
        return self._name

    def read(self, times: TimeRange = ALWAYS) -> Iterator[ValidationResult]:
        """Yields the events of the file; `times` are their own. The default id is the name of the file and the line."""
        if not self.file.exists():
            raise UsageError(f"{self.name}: there is no file {self.file}")
        for text in read_texts([str(self.file)], stdin=BytesIO()):
            if isinstance(text, Finding):
                yield ValidationResult(text.file or self.name, text.line or 1, None, (text,))
            else:
                yield from self._read_text(text, times)

    def _read_text(self, text: SourceText, times: TimeRange) -> Iterator[ValidationResult]:
        ids = self._generate_ids(text.line)
        defaults = EventDefaults(partial(next, ids), lambda: format_timestamp(0))
        for item in read_events(text, defaults):
            if isinstance(item, Finding):
                yield ValidationResult(text.file, item.line or text.line, None, (item,))
            elif times == ALWAYS or times.includes(to_milliseconds(item.time) if item.time else None):
                yield ValidationResult(text.file, text.line, item)

    def _generate_ids(self, line: int) -> Iterator[str]:
        yield f"{self.file.name}-{line}"
        number = 1
        while True:
            yield f"{self.file.name}-{line}.{number}"
            number += 1

    def send(self, events: Iterable[Event]) -> Iterator[SendReport]:
        """Appends the events. They are on the disk when they are reported."""
        try:
            with self.file.open("ab") as file:
                sent = []
                for event in events:
                    file.write(format_line(event.raw))
                    sent.append(event)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UsageError(f"{self.name}: cannot be written: {error.strerror}") from None
        yield from map(SendReport, sent)


def format_line(raw: bytes) -> bytes:
    """Returns the JSON text of an event on one line: line breaks are only between its values."""
    return raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def open_bus(settings: BusSettings) -> FileBus:
    """Returns the bus with some settings. Raises UsageError."""
    path = settings.url.path
    if not path.endswith(SUFFIX):
        raise UsageError(f"{settings.display_name}: a file as a bus has a name that ends with {SUFFIX}")
    return FileBus(Path(path), settings.display_name)
