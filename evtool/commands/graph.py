"""The command `evtool graph`: shows which event types reach which handlers, and where the handlers' events go."""

from collections.abc import Iterable, Mapping
from functools import partial
from io import BytesIO
from typing import Annotated, Any

from evtool.cli.options import Option
from evtool.cli.session import Session, create_event_defaults
from evtool.errors import EXIT_OK
from evtool.graph.dot import render_dot
from evtool.graph.event_types import SCHEMA_TYPE, TYPE_KEYS, EventType, sent_type
from evtool.graph.html import render_html
from evtool.graph.mermaid import render_mermaid
from evtool.graph.model import Counts, Edge, Graph, Node, build_graph
from evtool.graph.svg import render_svg
from evtool.paths import display_path
from evtool.readers.files import read_texts
from evtool.reports.base import Subject, open_document
from evtool.reports.graphs import GraphReport
from evtool.routes.project import Project
from evtool.routes.routes import load_routes
from evtool.schemas.validation import Rules, validate_events
from evtool.schemas.validator import Schemas


def graph(
    session: Session,
    *,
    counts: Annotated[bool, Option("--counts", "add the deliveries of the store to each arrow")] = False,
) -> int:
    """Show event types, routes, handlers and the types that these emit: as a tree, or as an image with -o.

    Besides text and json, -o has the formats html (a page with zoom and search), svg, mermaid and dot. The types come
    from schemas, samples, patterns, and `emits` of handlers. Loops are marked.

    Example: evtool graph -o html=graph.html
    """
    project = session.load_project()
    routes = load_routes(project)
    known = _list_known_types(project)
    edge_counts: Counts | None = None
    if counts:
        edge_counts, stored = _read_store(session, project)
        known = _merge_types(list(known.items()) + stored)
    drawn = build_graph(routes, known, edge_counts)
    title = f"Event graph of {project.display_name}"
    formats = {
        "mermaid": open_document(partial(render_mermaid, drawn)),
        "dot": open_document(partial(render_dot, drawn)),
        "svg": open_document(partial(render_svg, drawn, title)),
        "html": open_document(partial(render_html, drawn, title)),
    }
    subject = Subject("graph", "nodes", partial(GraphReport, quiet=session.quiet), formats)
    with session.open_report(subject) as report:
        for node in drawn.nodes:
            report.add_record(_build_node_record(node))
        report.end(_build_tail(drawn))
    return EXIT_OK


def _build_node_record(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "note": node.note or None,
        "description": node.description or None,
        "enabled": node.is_enabled,
    }


def _build_edge_record(edge: Edge) -> dict[str, Any]:
    return {
        "from": edge.start,
        "to": edge.end,
        "kind": edge.kind,
        "certain": edge.is_certain,
        "enabled": edge.is_enabled,
        "count": edge.number,
    }


def _build_tail(drawn: Graph) -> Mapping[str, Any]:
    return {
        "edges": [_build_edge_record(edge) for edge in drawn.edges],
        "loops": [list(loop) for loop in drawn.loops],
        "summary": {
            "types": drawn.count_nodes("type"),
            "routes": drawn.count_nodes("route"),
            "handlers": drawn.count_nodes("handler"),
            "edges": len(drawn.edges),
            "loops": len(drawn.loops),
        },
    }


# --- event types -----------------------------------------------------------------------------------------------------


def _list_known_types(project: Project) -> dict[str, EventType]:
    """Returns the event types of schemas and samples."""
    pairs: list[tuple[str, EventType]] = []
    if project.schemas or project.named_schemas:
        schemas = Schemas(project.schemas, named=project.named_schemas)
        pairs += [(name, SCHEMA_TYPE) for name in schemas.list_types()]
    samples = [display_path(path) for path in project.samples if path.exists()]
    texts = read_texts(samples, stdin=BytesIO())
    # The graph needs the types only, so that samples are not validated against their schemas.
    for result in validate_events(texts, Rules(None, "ignore"), create_event_defaults()):
        event = result.event
        if event:
            pairs.append((event.type, sent_type(TYPE_KEYS[event.payload_key == "data"], event.source)))
    return _merge_types(pairs)


def _merge_types(pairs: Iterable[tuple[str, EventType]]) -> dict[str, EventType]:
    merged: dict[str, EventType] = {}
    for name, event_type in pairs:
        merged[name] = merged.get(name, EventType()).merge(event_type)
    return merged


def _read_store(session: Session, project: Project) -> tuple[Counts, list[tuple[str, EventType]]]:
    """Returns the deliveries per edge, and the event types of the store."""
    # Only --counts needs the store, whose library takes long to import.
    from evtool.store.counts import count_edges, list_sources  # noqa: PLC0415
    from evtool.store.store import Store  # noqa: PLC0415

    stored: list[tuple[str, EventType]] = []
    with Store(session.locate_store(project, existing=True), writing=False) as store:
        for name, source in list_sources(store):
            # The store does not record whether an event was a CloudEvent: both forms are possible.
            keys = frozenset((key, source) for key in TYPE_KEYS)
            stored.append((name, EventType(frozenset(TYPE_KEYS), keys)))
        return count_edges(store), stored
