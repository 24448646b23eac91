"""The graph as one HTML page: the SVG image with zoom, search and highlighted paths, and the same as a table."""

from html import escape
from pathlib import Path
from string import Template

from evtool.graph.model import Edge, Graph
from evtool.graph.svg import render_svg
from evtool.terminal.sanitize import sanitize

VERBS = {"matches": "is matched by", "delivers": "delivers to", "emits": "emits"}


def render_html(graph: Graph, title: str) -> str:
    """Renders the page. It loads nothing, and its content security policy forbids that."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    names = {node.id: node.name for node in graph.nodes}
    loop_edges = graph.loop_edges
    header = ["from", "", "to", ""]
    if graph.has_counts:
        header.append("count")
    rows = []
    for edge in graph.edges:
        rows.append(_format_row(edge, names, in_loop=edge.arrow in loop_edges))
    return template.substitute(
        title=_escape(title),
        svg=render_svg(graph, title),
        header="".join(f"<th>{name}</th>" for name in header),
        rows="\n".join(rows),
    )


def _format_row(edge: Edge, names: dict[str, str], *, in_loop: bool) -> str:
    # Colour and dashes of the image are not visible to everyone: the table has the same in words.
    remarks = []
    if in_loop:
        remarks.append("loop")
    if not edge.is_enabled:
        remarks.append("disabled")
    if not edge.is_certain:
        remarks.append("undecided")
    cells = [names[edge.start], VERBS[edge.kind], names[edge.end], ", ".join(remarks)]
    if edge.number is not None:
        cells.append(f"{edge.number:,}")
    return "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>"


def _escape(text: str) -> str:
    return escape(sanitize(text))
