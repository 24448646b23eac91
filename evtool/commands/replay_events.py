"""Reads the events that `evtool replay` routes again: from the store, or from the files and buses of --from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evtool.buses.base import Bus, TimeRange
from evtool.buses.registry import is_bus, open_named_bus
from evtool.cli.filters import check_ids, note_unknown, note_unknown_values
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.session import Session, create_event_defaults
from evtool.delivery.replays.selection import SelectedEvent, read_selected_events
from evtool.events.buses import DEFAULT_BUS, name_bus
from evtool.events.event import Event
from evtool.events.payload_identity import PayloadIdentity
from evtool.routes.project import Project
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.store.rows import Filter
from evtool.store.store import Store

# Types and sources of files that a note may name.
MAX_SEEN = 1000


def read_stored_events(session: Session, store: Store | None, selection: Filter) -> Iterator[SelectedEvent]:
    """Yields the stored events that a filter selects, without those that are stored after this call."""
    assert store is not None
    check_ids(store, selection.ids)
    note_unknown_values(session, store, type=selection.type, source=selection.source)
    # A replay that delivers adds events to the store, which it must not replay, too.
    yield from read_selected_events(store, selection._replace(last=store.last_seq()))


class InputOptions(NamedTuple):
    """The options of `replay` that describe the events of --from. `event_bus` is for events that name no bus."""

    entries: Sequence[str]
    identity: PayloadIdentity
    event_bus: str | None
    unwrap: bool
    max_bytes: int
    allow_empty: bool


class ReplayInput:
    """The events of a replay: those of files and buses if --from names some, else those of the store."""

    def __init__(self, session: Session, project: Project, selection: Filter, options: InputOptions):
        """Opens the input. Raises UsageError for a name that is neither a file nor a sample nor a bus."""
        self._session, self._selection, self._options = session, selection, options
        self.buses = [open_named_bus(entry, project) for entry in options.entries if is_bus(entry, project)]
        self.paths = resolve_paths([entry for entry in options.entries if not is_bus(entry, project)], project)
        # A bus may be empty, but files without events are probably a mistake.
        self.inputs = EventInputs(self.paths, unwrap=options.unwrap, allow_empty=options.allow_empty or not self.paths)

    @property
    def is_store(self) -> bool:
        """Whether the events come from the store."""
        return not self._options.entries

    def read(self, store: Store | None) -> Iterator[SelectedEvent]:
        """Returns the selected events. `store` has what fired when an event of a file or bus was published."""
        if self.is_store:
            return read_stored_events(self._session, store, self._selection)
        return self._read_files_and_buses(store)

    def _read_files_and_buses(self, store: Store | None) -> Iterator[SelectedEvent]:
        options = self._options
        texts = self.inputs.read(max_bytes=options.max_bytes)
        results = self.inputs.check(
            validate_events(texts, Rules(None), create_event_defaults(), identity=options.identity)
        )
        yield from self._select(results, self._selection, store, place="the files")
        bus_results = self.inputs.follow(_read_buses(self.buses, self._selection))
        # A bus applies the time range to the times of the messages, which may differ from those of the events.
        selection = self._selection._replace(since=None, until=None)
        yield from self._select(bus_results, selection, store, place="the bus")

    def _select(
        self, results: Iterator[ValidationResult], selection: Filter, store: Store | None, place: str
    ) -> Iterator[SelectedEvent]:
        """Yields the events that the filter selects. Shows findings, and notes about unknown types and sources."""
        types, sources = set[str](), set[str]()
        for result in results:
            self._session.show_findings(result.findings)
            event = result.event
            if event is None:
                continue
            if len(types | sources) < MAX_SEEN:
                types.add(event.type)
                sources.add(event.source)
            if selection.matches(event):
                yield _add_history(name_bus(event, self._options.event_bus), store)
        # Without any event, another message says so.
        if types:
            note_unknown(self._session, "type", selection.type, sorted(types), place=place)
            note_unknown(self._session, "source", selection.source, sorted(sources), place=place)


def _add_history(event: Event, store: Store | None) -> SelectedEvent:
    """Adds to an event what fired when it was published, if the store has it."""
    selected = SelectedEvent(event.raw, event.bus or DEFAULT_BUS, None, None, event)
    if store:
        # The key of an event is its source and its id: there is at most one.
        for same in read_selected_events(store, Filter(source=event.source, ids=(event.id,))):
            return selected._replace(fired=same.fired, stored=same.stored)
    return selected


def _read_buses(buses: Sequence[Bus], selection: Filter) -> Iterator[ValidationResult]:
    """Yields the messages that are on the buses now; of a topic, those in the time range of the filter."""
    times = TimeRange(selection.since, selection.until)
    for bus in buses:
        yield from bus.read(times)
