"""The graph as one HTML page: the SVG image with zoom, search and highlighted paths, and the same as a table."""

from html import escape
from pathlib import Path
from string import Template

from evtool.graph.model import Edge, Graph
from evtool.graph.svg import render_svg
from evtool.terminal.sanitize import sanitize

VERBS = {"matches": "is matched by", "delivers": "delivers to", "emits": "emits"}


def render_html(graph: Graph, title: str) -> str:
    """The page. It loads nothing, and its content security policy forbids that."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    names = {node.id: node.name for node in graph.nodes}
    has_counts = any(edge.number is not None for edge in graph.edges)
    header = ["from", "", "to", "", *(["count"] if has_counts else [])]
    return template.substitute(
        title=_escape(title),
        svg=render_svg(graph, title),
        header="".join(f"<th>{name}</th>" for name in header),
        rows="\n".join(_format_row(edge, names, (edge.start, edge.end) in graph.loop_edges) for edge in graph.edges),
    )


def _format_row(edge: Edge, names: dict[str, str], in_loop: bool) -> str:  # noqa: FBT001
    remarks = [
        *(["loop"] if in_loop else []),
        *([] if edge.is_enabled else ["disabled"]),
        *([] if edge.is_certain else ["undecided"]),
    ]
    cells = [names[edge.start], VERBS[edge.kind], names[edge.end], ", ".join(remarks)]
    if edge.number is None:
        cells += []
    else:
        cells += [f"{edge.number:,}"]
    return "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>"


def _escape(text: str) -> str:
    return escape(sanitize(text))
