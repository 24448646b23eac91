"""The graph in the DOT language of Graphviz."""

from evtool.graph.model import Edge, Graph, Node
from evtool.terminal.sanitize import sanitize

NODE_STYLES = {
    "type": 'shape=box, style="rounded,filled", fillcolor="#dbeafe", color="#2563eb"',
    "route": 'shape=box, style="filled", fillcolor="#f1f5f9", color="#64748b"',
    "handler": 'shape=component, style="filled", fillcolor="#dcfce7", color="#16a34a"',
}
DISABLED = 'shape=box, style="dashed", color="#64748b", fontcolor="#64748b"'
LOOP_STYLE = 'color="#dc2626", penwidth=2'


def render_dot(graph: Graph) -> str:
    """A directed graph from left to right; edges of loops are red."""
    loop_edges = graph.loop_edges
    lines = [
        "digraph evtool {",
        "  rankdir=LR;",
        '  node [fontname="Helvetica", fontsize=11];',
        '  edge [color="#64748b", fontname="Helvetica", fontsize=9];',
        *(f"  {_quote(node.id)} [{_format_node(node)}];" for node in graph.nodes),
        *(f"  {_format_edge(edge, (edge.start, edge.end) in loop_edges)}" for edge in graph.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _format_node(node: Node) -> str:
    if not node.note:
        label = _quote(node.name)
    else:
        label = _quote(node.name)[:-1] + "\\n" + _quote(node.note)[1:]
    return f"label={label}, {NODE_STYLES[node.kind] if node.is_enabled else DISABLED}"


def _format_edge(edge: Edge, in_loop: bool) -> str:  # noqa: FBT001
    labels = [*([f"{edge.number:,}"] if edge.number is not None else []), *([] if edge.is_certain else ["?"])]
    if labels:
        attributes = [f"label={_quote(' '.join(labels))}"]
    else:
        attributes = []
    if edge.is_certain and edge.is_enabled:
        attributes += []
    else:
        attributes += ["style=dashed"]
    if in_loop:
        attributes += [LOOP_STYLE]
    suffix = ""
    if attributes:
        suffix = f" [{', '.join(attributes)}]"
    return f"{_quote(edge.start)} -> {_quote(edge.end)}{suffix};"


def _quote(text: str) -> str:
    """A quoted string of DOT. A backslash begins an escape, also one such as `\\N` for the node's own name."""
    return '"' + sanitize(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
