"""The page with the routes and handlers, and how many deliveries each has."""

from starlette.responses import Response

from evtool.reports.explanations import list_candidates
from evtool.server.page.view import View
from evtool.store.counts import count_totals
from evtool.store.rows import STATES

MAX_ROUTES = 500  # that are shown


def show_routes(view: View) -> Response:
    """All routes with their handlers."""
    routes = view.context.routes
    totals = count_totals(view.store)
    states = {(entry.route, entry.handler): entry.states for entry in totals.handlers}
    project = view.context.project
    candidates = {str(candidate.route): candidate for candidate in list_candidates(routes, project)}
    rows = [
        {
            "route": route,
            "file": project.source_of(route.name).display_name,
            "line": candidates[route.name].locate()["line"],
            "handlers": [
                {"entry": routes.handlers[name], "states": states.pop((route.name, name), {})} for name in route.to
            ],
        }
        for route in list(routes.routes.values())[:MAX_ROUTES]
    ]
    return view.render(
        "routes.html",
        rows=rows,
        total=len(routes.routes),
        former=[] if len(routes.routes) > MAX_ROUTES else sorted(states.items()),
        state_names=STATES,
    )
