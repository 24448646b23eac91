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
# Characters of a label.
MAX_LABEL = 60


def render_mermaid(graph: Graph) -> str:
    """Renders a flowchart from left to right; edges of loops are red."""
    # Names of a project may hold characters that Mermaid does not allow in an id, so nodes are numbered.
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    loop_edges = graph.loop_edges
    lines = ["flowchart LR"]
    for node in graph.nodes:
        lines.append(f"  {ids[node.id]}{_format_node(node)}")
    # Mermaid styles edges by their number in the text.
    numbers_in_loops = []
    edges = [edge for edge in graph.edges if edge.start in ids and edge.end in ids]
    for number, edge in enumerate(edges):
        lines.append(f"  {ids[edge.start]} {_format_arrow(edge)} {ids[edge.end]}")
        if edge.arrow in loop_edges:
            numbers_in_loops.append(str(number))
    for name, style in STYLES.items():
        lines.append(f"  classDef {name} {style}")
    if numbers_in_loops:
        lines.append(f"  linkStyle {','.join(numbers_in_loops)} {LOOP_STYLE}")
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
    arrow = "-->"
    if edge.is_dashed:
        arrow = "-.->"
    if edge.label:
        return f'{arrow}|"{edge.label}"|'
    return arrow


def _escape(text: str) -> str:
    """Replaces every character that Mermaid or HTML may read as markup by an entity of Mermaid."""
    return "".join(map(_escape_char, sanitize(text)))


def _escape_char(char: str) -> str:
    if char.isalnum() or char in " .,-_/@":
        return char
    return f"#{ord(char)};"
