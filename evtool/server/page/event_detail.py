"""The page of one event: its document, the tree of what fired, its attempts, and why other routes did not match."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from evtool.events.envelopes import parse_event
from evtool.server.page.event_list import load_cause
from evtool.server.page.rendering import HEADERS, format_document, shorten
from evtool.server.page.view import PageError, View
from evtool.server.page.why_not import explain_routes
from evtool.store.rows import Attempt, Delivery, StoredEvent
from evtool.store.store import Store

# Bytes of an event that are laid out. The page shows the beginning of a longer event.
MAX_DOCUMENT_BYTES = 128 << 10
MAX_BEGINNING = 16 << 10  # bytes
MAX_CHAIN = 200  # events of the tree
MAX_DELIVERIES = 100  # with their attempts
MAX_ATTEMPTS = 20  # of a delivery: the last ones


def show_event(view: View) -> Response:
    """Returns the event whose number is in the path."""
    event = _get_event(view)
    deliveries = view.store.list_deliveries(event.seq)
    if event.root != event.seq:
        root = view.store.get_event(event.root)
    else:
        root = event
    tree, is_cut = load_tree(view.store, root)
    return view.render(
        "event.html",
        event=event,
        cause=load_cause(view.store, event),
        lines=list(format_lines(event.raw)),
        is_whole=len(event.raw) <= MAX_DOCUMENT_BYTES,
        beginning=MAX_BEGINNING,
        tree=tree,
        is_tree_cut=is_cut,
        max_chain=MAX_CHAIN,
        deliveries=[load_attempts(view.store, delivery) for delivery in deliveries[:MAX_DELIVERIES]],
        delivery_count=len(deliveries),
        redriven=view.get("redriven"),
        explanation=explain_routes(view.context, event),
    )


def send_raw(view: View) -> Response:
    """Returns the bytes of an event, to be saved and never shown by the browser."""
    event = _get_event(view)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="event-{event.seq}.json"'}
    return Response(event.raw, media_type="application/json", headers=headers)


def _get_event(view: View) -> StoredEvent:
    seq = view.path["seq"]
    if not view.store.execute("SELECT 1 FROM event WHERE seq = ?", min(seq, 2**63 - 1)):
        raise PageError(404, "No such event", f"there is no event number {seq}; it may have been pruned")
    return view.store.get_event(seq)


def format_lines(raw: bytes) -> Iterable[tuple[str, str, str, str]]:
    """Returns an event laid out, or the beginning of a long one as it is."""
    if len(raw) <= MAX_DOCUMENT_BYTES:
        return format_document(parse_event(raw).document)
    text = raw[:MAX_BEGINNING].decode("utf-8", "replace")
    return (("", "", "", shorten(line)) for line in text.split("\n"))


def load_tree(store: Store, root: StoredEvent) -> tuple[dict[str, Any], bool]:
    """Returns an event with its deliveries and, below each, the events that it emitted.

    And whether some are left out.
    """
    chain = store.list_chain(root.seq, MAX_CHAIN + 1)
    emitted = defaultdict[int | None, list[StoredEvent]](list)
    for event in chain[:MAX_CHAIN]:
        emitted[event.cause].append(event)

    def build_node(event: StoredEvent) -> dict[str, Any]:
        branches: list[dict[str, Any]] = []
        for delivery in store.list_deliveries(event.seq)[:MAX_DELIVERIES]:
            branches.append({"delivery": delivery, "emitted": list(map(build_node, emitted[delivery.seq]))})
        return {"event": event, "deliveries": branches}

    return build_node(root), len(chain) > MAX_CHAIN


def load_attempts(store: Store, delivery: Delivery) -> dict[str, Any]:
    """Returns a delivery with its last attempts, the newest first, each with the lines that its handler printed."""
    attempts = store.list_attempts(delivery.seq)
    shown: list[tuple[Attempt, list[str]]] = []
    for attempt in reversed(attempts[-MAX_ATTEMPTS:]):
        lines = (attempt.output or "").splitlines()
        shown.append((attempt, [shorten(line.expandtabs()) for line in lines]))
    return {"delivery": delivery, "attempts": shown, "hidden": max(0, len(attempts) - MAX_ATTEMPTS)}
