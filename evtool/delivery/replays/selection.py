"""Chooses the events that a replay takes from the store or from files."""

from collections.abc import Iterator
from typing import NamedTuple

from evtool.delivery.replays.plan import Planner, ReplayPlan
from evtool.events.event import Event
from evtool.patterns.pattern import Pattern
from evtool.store.rows import Filter, FiredDelivery, StoredEvent, parse_fired_deliveries
from evtool.store.store import Store


class SelectedEvent(NamedTuple):
    """An event that the options of a replay select.

    `fired` has the deliveries of its publication; None for an event that is not in the store. `stored` is given for an
    event of the store with a cause or with effects, `event` for an event from a file.
    """

    raw: bytes
    bus: str
    fired: tuple[FiredDelivery, ...] | None
    stored: StoredEvent | None
    event: Event | None = None


class Selection:
    """Chooses the events that a replay takes itself: those that the options select and its handlers do not emit."""

    def __init__(
        self, event_filter: Filter | None, pattern: Pattern | None, plan_route: Planner | None, store: Store | None
    ):
        """Without a filter the events come from files. `plan_route` is given if `--route` selects the events."""
        self._filter, self._pattern, self._plan_route, self._store = event_filter, pattern, plan_route, store
        # The numbers of the events from files that are also in the store.
        self._from_files: set[int] = set()

    def choose(self, events: Iterator[SelectedEvent], plan: ReplayPlan) -> Iterator[SelectedEvent]:
        """Yields the events that the replay takes."""
        for event in events:
            if not self._passes(event.raw, event.bus):
                continue
            if event.stored is None:
                yield event
            elif not plan.is_effect(event.stored):
                self._from_files.add(event.stored.seq)
                yield event

    def includes(self, stored: StoredEvent) -> bool:
        """Whether the options select a stored event."""
        if self._filter is None:
            return stored.seq in self._from_files
        assert self._store is not None
        return self._store.is_selected(stored.seq, self._filter) and self._passes(stored.raw, stored.bus)

    def _passes(self, raw: bytes, bus: str) -> bool:
        if self._pattern is not None and self._pattern.matches(raw) is not True:
            return False
        return self._plan_route is None or bool(self._plan_route(raw, bus))


def read_selected_events(store: Store, event_filter: Filter, *, newest: int | None = None) -> Iterator[SelectedEvent]:
    """Yields the stored events that a filter selects; with `newest` only that many of the last ones."""
    for page in store.read_published_events(event_filter, newest=newest):
        for seq, raw, bus, has_chain, fired in page:
            stored = None
            if has_chain:
                stored = store.get_event(seq)
            yield SelectedEvent(raw, bus, parse_fired_deliveries(fired), stored)
