"""The page with the plan of a replay: which handlers the current routes would call for stored events."""

from typing import Any, NamedTuple

from starlette.responses import Response

from evtool.delivery.replays.plan import ReplayedEvent, ReplayPlan, make_planner
from evtool.delivery.replays.selection import Selection, read_selected_events
from evtool.errors import UsageError
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.reports.replays import ReplaySums, build_replay_record, mark_selected
from evtool.server.page.event_list import build_filter
from evtool.server.page.view import PageError, View

DEFAULT_NEWEST = 500  # events that are planned
MAX_NEWEST = 5000
MAX_CHANGED = 50  # events that are shown
FIELDS = ("type", "source", "route", "since", "until", "pattern", "newest")


class Plan(NamedTuple):
    """The sums of a plan, a row for each handler, and the first events that would fire other handlers than before."""

    sums: ReplaySums
    rows: list[dict[str, Any]]
    changed: list[dict[str, Any]]


def show_replay_plan(view: View) -> Response:
    """Returns the plan for the newest events that the parameters select."""
    plan = problem = None
    status = 200
    try:
        plan = make_plan(view)
    except (PageError, UsageError, PatternError, ValueError) as error:
        problem, status = str(error), 400
    return view.render(
        "replay_plan.html",
        status,
        plan=plan,
        problem=problem,
        chosen=view.get_all(FIELDS),
        routes=list(view.context.routes.routes),
        default_newest=DEFAULT_NEWEST,
        max_newest=MAX_NEWEST,
    )


def make_plan(view: View) -> Plan:
    """Returns the plan. Raises PageError, UsageError and PatternError for parameters that cannot be used."""
    store, routes, route, pattern = view.store, view.context.routes, view.get("route"), view.get("pattern")
    newest = view.get_number("newest", DEFAULT_NEWEST, MAX_NEWEST)
    event_filter = build_filter(view)._replace(published=True, route=None, state=None)
    plan_selected = make_planner(routes, "plan")
    plan_route = parsed_pattern = None
    if route is not None:
        plan_selected = plan_route = make_planner(routes.restrict_to(route), "plan")
    if pattern is not None:
        parsed_pattern = Pattern(pattern)
    selection = Selection(event_filter, parsed_pattern, plan_route, store)
    plan = ReplayPlan(store, plan_selected, make_planner(routes, "plan"), selection.includes)
    sums, changed = ReplaySums(), list[dict[str, Any]]()
    for selected in selection.choose(read_selected_events(store, event_filter, newest=newest), plan):
        events = plan.plan_event(selected.raw, selected.bus, selected.fired, selected.stored)
        for event in mark_selected(events, sums):
            sums.add(event)
            change = _find_change(event)
            if change and len(changed) < MAX_CHANGED:
                changed.append(change)
    sums.update()
    return Plan(sums, _build_rows(sums), changed)


def _find_change(event: ReplayedEvent) -> dict[str, Any] | None:
    """Returns an event that would fire other handlers than when it was published, with the difference."""
    if event.fired is None:
        return None
    before = {fired.handler for fired in event.fired}
    now = {fire.handler for fire in event.fires if not fire.is_external}
    if before == now:
        return None
    record = build_replay_record(event)
    return {**record, "lost": sorted(before - now), "gained": sorted(now - before)}


def _build_rows(sums: ReplaySums) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for handler in sorted(sums.published.keys() | sums.current.keys()):
        row = {
            "handler": handler,
            "fired": sums.published[handler],
            "would_fire": sums.current[handler]["would fire"],
            "is_skipped": handler in sums.skipping,
            "is_external": handler in sums.external,
        }
        rows.append(row)
    return rows
