"""The page with the list of events, the newest first."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import RedirectResponse, Response

from evtool.server.page.view import MAX_NUMBER, PageError, View
from evtool.store.counts import list_recent_types
from evtool.store.rows import STATES, Filter, StoredEvent
from evtool.store.store import Store

PAGE = 50  # events
MAX_RECENT = 1000  # events whose types are proposed


def show_events(view: View) -> Response:
    """Returns the events that the parameters select."""
    try:
        event_filter, problem, status = build_filter(view), None, 200
    except PageError as error:
        event_filter, problem, status = None, str(error), 400
    rows: list[dict[str, Any]] = []
    refresh = 0
    if event_filter:
        rows = _load_rows(view.store, event_filter)
        refresh = view.get_number("refresh", 0, 3600)
    older = newest = None
    if view.get("before"):
        newest = view.build_link("/", before=None)
    if len(rows) > PAGE:
        older = view.build_link("/", before=rows[PAGE - 1]["seq"])
    return view.render(
        "events.html",
        status,
        rows=rows[:PAGE],
        problem=problem,
        chosen=view.get_all(("type", "source", "route", "state", "since", "until", "id")),
        types=list_recent_types(view.store, MAX_RECENT),
        routes=list(view.context.routes.routes),
        states=STATES,
        older=older,
        newest=newest,
        refresh=refresh,
        refresh_link=view.build_link("/", refresh=5),
        stop_link=view.build_link("/", refresh=None),
    )


def find_event(view: View) -> Response:
    """Redirects to the event with an id, or to a list if several events or none have it."""
    event_id = view.get("id")
    if event_id:
        events = view.store.list_newest_events(Filter(ids=(event_id,)), 2)
    else:
        events = []
    if len(events) == 1:
        path = f"/events/{events[0].seq}"
    else:
        path = view.build_link("/")
    return RedirectResponse(path, 303)


def build_filter(view: View) -> Filter:
    """Returns the filter that the parameters describe. Raises PageError."""
    state, event_id = view.get("state"), view.get("id")
    if state is not None and state not in STATES:
        raise PageError(400, "Unknown state", f"the states are {', '.join(STATES)}")
    since, until = view.get_time("since"), view.get_time("until")
    if since is not None and until is not None and since >= until:
        raise PageError(400, "Not a time", "the first time is not before the second: no event can lie between them")
    ids: tuple[str, ...] = ()
    if event_id:
        ids = (event_id,)
    return Filter(
        since=since,
        until=until,
        last=view.get_number("before", MAX_NUMBER) - 1,
        type=view.get("type"),
        source=view.get("source"),
        route=view.get("route"),
        state=state,
        ids=ids,
    )


def _load_rows(store: Store, event_filter: Filter) -> list[dict[str, Any]]:
    """Returns the newest events, and one more if there are more."""

    def load_row(event: StoredEvent) -> dict[str, Any]:
        return {
            "seq": event.seq,
            "id": event.id,
            "type": event.type,
            "source": event.source,
            "bus": event.bus,
            "stored_at": event.stored_at,
            "cause": load_cause(store, event),
            "replay": event.replay,
            "states": sort_states(store.count_states(event.seq)),
        }

    return [load_row(event) for event in store.list_newest_events(event_filter, PAGE + 1)]


def load_cause(store: Store, event: StoredEvent) -> dict[str, Any] | None:
    """Returns the number and type of the event that caused one, and the handler that emitted it."""
    if event.cause is None:
        return None
    delivery = store.get_delivery(event.cause)
    cause = store.get_event(delivery.event)
    return {"seq": cause.seq, "type": cause.type, "id": cause.id, "handler": delivery.handler}


def sort_states(states: Mapping[str, int]) -> dict[str, int]:
    """Counts by state, with what needs attention first."""
    return {state: states[state] for state in reversed(STATES) if states.get(state)}
