"""Reads the events that `evtool replay` routes again: from the store, from files, or from buses."""

from collections.abc import Iterator, Sequence

from evtool.buses.base import Bus, TimeRange
from evtool.cli.filters import check_ids, note_unknown, note_unknown_values
from evtool.cli.session import Session
from evtool.delivery.replays.selection import SelectedEvent, read_selected_events
from evtool.events.buses import DEFAULT_BUS, name_bus
from evtool.schemas.validation import ValidationResult
from evtool.store.rows import Filter
from evtool.store.store import Store
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding

MAX_SEEN = 1000  # types and sources of files that a note may name


def read_stored_events(session: Session, store: Store | None, selection: Filter) -> Iterator[SelectedEvent]:
    """The stored events that a filter lets through, without those that the replay itself stores."""
    assert store is not None
    check_ids(store, selection.ids)
    note_unknown_values(session, store, type=selection.type, source=selection.source)
    yield from read_selected_events(store, selection._replace(last=store.last_seq()))


def read_buses(buses: Sequence[Bus], selection: Filter) -> Iterator[ValidationResult]:
    """What is on buses now; of a topic the messages that were written in the time range of a filter."""
    times = TimeRange(selection.since, selection.until)
    for bus in buses:
        yield from bus.read(times)


def read_given_events(
    session: Session,
    file_results: Iterator[ValidationResult],
    bus_results: Iterator[ValidationResult],
    selection: Filter,
    store: Store | None,
    bus: str | None,
) -> Iterator[SelectedEvent]:
    """The events of files and then of buses that a filter lets through; findings are reported for what is not an event.

    `bus` is the event bus of events that name none.
    """
    yield from _read_events(session, file_results, selection, store, bus, place="the files")
    # `read_buses` has applied the time range, to the times of the messages
    selection = selection._replace(since=None, until=None)
    yield from _read_events(session, bus_results, selection, store, bus, place="the bus")


def _read_events(
    session: Session,
    results: Iterator[ValidationResult],
    selection: Filter,
    store: Store | None,
    bus: str | None,
    place: str,
) -> Iterator[SelectedEvent]:
    screen = Screen(open_stderr(), color=session.color)
    types, sources = set[str](), set[str]()
    for result in results:
        for finding in result.findings:
            show_finding(screen, finding)
        event = result.event
        if event is not None and len(types | sources) < MAX_SEEN:
            types.add(event.type)
            sources.add(event.source)
        if event is not None and selection.matches(event):
            same = read_selected_events(store, Filter(source=event.source, ids=(event.id,))) if store else ()
            fired, stored = next(((entry.fired, entry.stored) for entry in same), (None, None))
            event = name_bus(event, bus)
            yield SelectedEvent(event.raw, event.bus or DEFAULT_BUS, fired, stored, event)
    for kind, value, names in (("type", selection.type, types), ("source", selection.source, sources)):
        if types:
            note_unknown(session, kind, value, sorted(names), place=place)
