"""The page with the routes and handlers, and how many deliveries each has."""

from itertools import islice
from typing import Any

from starlette.responses import Response

from evtool.reports.explanations import list_candidates
from evtool.server.page.view import View
from evtool.store.counts import count_totals
from evtool.store.rows import STATES

MAX_ROUTES = 500  # that are shown


def show_routes(view: View) -> Response:
    """Returns all routes with their handlers."""
    routes = view.context.routes
    totals = count_totals(view.store)
    states = {(entry.route, entry.handler): entry.states for entry in totals.handlers}
    project = view.context.project
    candidates = {str(candidate.route): candidate for candidate in list_candidates(routes, project)}
    rows: list[dict[str, Any]] = []
    for route in islice(routes.routes.values(), MAX_ROUTES):
        handlers: list[dict[str, Any]] = []
        for name in route.to:
            handlers.append({"entry": routes.handlers[name], "states": states.pop((route.name, name), {})})
        file = project.source_of(route.name).display_name
        rows.append(
            {"route": route, "file": file, "line": candidates[route.name].locate()["line"], "handlers": handlers}
        )
    # The counts that are left belong to former routes, unless some of the current routes are not shown.
    former = sorted(states.items())
    if len(routes.routes) > MAX_ROUTES:
        former = []
    return view.render(
        "routes.html",
        rows=rows,
        total=len(routes.routes),
        former=former,
        state_names=STATES,
    )
