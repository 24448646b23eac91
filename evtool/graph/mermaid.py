"""The graph as Mermaid text, which GitHub, GitLab and many editors draw."""

from evtool.findings.phrases import shorten
from evtool.graph.model import Edge, Graph, Node
from evtool.terminal.sanitize import sanitize

SHAPES = {"type": ("([", "])"), "route": ("[", "]"), "handler": ("[[", "]]")}
STYLES = {
    "type": "fill:#dbeafe,stroke:#2563eb,color:#172554",
    "route": "fill:#f1f5f9,stroke:#64748b,color:#0f172a",
    "handler": "fill:#dcfce7,stroke:#16a34a,color:#052e16",
    "disabled": "stroke-dasharray:5 4,color:#64748b",
}
LOOP_STYLE = "stroke:#dc2626,stroke-width:2px"
MAX_LABEL = 60  # characters


def render_mermaid(graph: Graph) -> str:
    """A flowchart from left to right; edges of loops are red."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    loop_edges = graph.loop_edges
    edges = [edge for edge in graph.edges if edge.start in ids and edge.end in ids]
    in_loop = [str(number) for number, edge in enumerate(edges) if (edge.start, edge.end) in loop_edges]
    lines = [
        "flowchart LR",
        *(f"  {ids[node.id]}{_format_node(node)}" for node in graph.nodes),
        *(f"  {ids[edge.start]} {_format_arrow(edge)} {ids[edge.end]}" for edge in edges),
        *(f"  classDef {name} {style}" for name, style in STYLES.items()),
    ]
    if in_loop:
        lines += [f"  linkStyle {','.join(in_loop)} {LOOP_STYLE}"]
    return "\n".join(lines) + "\n"


def _format_node(node: Node) -> str:
    opening, closing = SHAPES[node.kind]
    classes = ":::disabled"
    if node.is_enabled:
        classes = f":::{node.kind}"
    note = ""
    if node.note:
        note = f"<br/>{_escape(node.note)}"
    return f'{opening}"{_escape(shorten(node.name, MAX_LABEL))}{note}"{closing}{classes}'


def _format_arrow(edge: Edge) -> str:
    labels = [*([f"{edge.number:,}"] if edge.number is not None else []), *([] if edge.is_certain else ["?"])]
    arrow = "-.->"
    if edge.is_certain and edge.is_enabled:
        arrow = "-->"
    if labels:
        return f'{arrow}|"{" ".join(labels)}"|'
    return arrow


def _escape(text: str) -> str:
    """A text without anything that Mermaid or HTML reads as markup: such characters become entities of Mermaid."""
    return "".join(char if char.isalnum() or char in " .,-_/@" else f"#{ord(char)};" for char in sanitize(text))
