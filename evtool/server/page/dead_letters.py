"""The page with the dead letters, and their redrive."""

from collections.abc import Callable, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any

from starlette.responses import RedirectResponse, Response

from evtool.server.context import Context
from evtool.server.page.view import MAX_NUMBER, View
from evtool.store import dead_letters
from evtool.store.dead_letters import DeadLetterFilter, list_dead_letters
from evtool.store.rows import Delivery
from evtool.store.store import Store

PAGE = 50  # dead letters
# Dead letters of one transaction: it must not keep the handlers from the store for long.
MAX_REDRIVEN = 200


def show_dead_letters(view: View) -> Response:
    """Returns the dead letters that the parameters select, the oldest first."""
    selection = DeadLetterFilter(type=view.get("type"), route=view.get("route"), handler=view.get("handler"))
    after = view.get_number("after", 0)

    def load_row(delivery: Delivery) -> dict[str, Any]:
        attempts = view.store.list_attempts(delivery.seq)
        last = None
        if attempts:
            last = attempts[-1]
        if last:
            died_at = last.started + (last.duration_ms or 0)
        else:
            died_at = delivery.created
        return {"delivery": delivery, "event": view.store.get_event(delivery.event), "died_at": died_at}

    rows = list(islice(list_dead_letters(view.store, selection, load_row, after=after), PAGE + 1))
    first_page = next_page = None
    if after:
        first_page = view.build_link("/dead-letters", after=None)
    if len(rows) > PAGE:
        next_page = view.build_link("/dead-letters", after=rows[PAGE - 1]["delivery"].seq)
    return view.render(
        "dead_letters.html",
        rows=rows[:PAGE],
        chosen=view.get_all(("type", "route", "handler")),
        routes=list(view.context.routes.routes),
        handlers=list(view.context.routes.handlers),
        next=next_page,
        first=first_page,
        redriven=view.get("redriven"),
    )


async def redrive(context: Context, form: Mapping[str, str]) -> Response:
    """Makes one dead letter ready again, or all that the filters of the page select, and leads back."""
    text = form.get("delivery", "")
    if not text:
        selection = DeadLetterFilter(
            type=form.get("type") or None, route=form.get("route") or None, handler=form.get("handler") or None
        )
        return RedirectResponse(f"/dead-letters?redriven={await _redrive_all(context, selection)}", 303)
    if text.isascii() and text.isdecimal() and len(text) < 19:
        number = int(text)
    else:
        number = MAX_NUMBER
    events = await context.writer.run(_redrive_some(context, DeadLetterFilter(delivery=number)))
    if form.get("from") == "event" and events:
        return RedirectResponse(f"/events/{events[0]}?redriven={len(events)}#deliveries", 303)
    return RedirectResponse(f"/dead-letters?redriven={len(events)}", 303)


async def _redrive_all(context: Context, selection: DeadLetterFilter) -> int:
    """Redrives in several transactions, so that events do not wait long. A delivery that dies later stays dead."""
    selection = selection._replace(before=context.now())
    total = count = 0
    while total == 0 or count == MAX_REDRIVEN:
        count = len(await context.writer.run(_redrive_some(context, selection)))
        total += count
        if not count:
            break
    return total


def _redrive_some(context: Context, selection: DeadLetterFilter) -> Callable[[Store], list[int]]:
    """Redrives the first dead letters of a selection; the numbers of their events."""

    def work(store: Store) -> list[int]:
        redriven = dead_letters.redrive(store, selection, attrgetter("event"), now=context.now())
        return list(islice(redriven, MAX_REDRIVEN))

    return work
