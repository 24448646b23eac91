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
HEAD = """\
digraph evtool {
  rankdir=LR;
  node [fontname="Helvetica", fontsize=11];
  edge [color="#64748b", fontname="Helvetica", fontsize=9];"""


def render_dot(graph: Graph) -> str:
    """Renders a directed graph from left to right; edges of loops are red."""
    loop_edges = graph.loop_edges
    lines = [HEAD]
    for node in graph.nodes:
        lines.append(f"  {_quote(node.id)} [{_format_node(node)}];")
    for edge in graph.edges:
        lines.append(f"  {_format_edge(edge, in_loop=edge.arrow in loop_edges)}")
    lines.append("}")
    return "\n".join(lines) + "\n"


def _format_node(node: Node) -> str:
    label = _quote(node.name)
    if node.note:
        # `\n` is an escape of DOT: it starts a second line in the label, so it goes inside the quotes.
        label = label[:-1] + "\\n" + _quote(node.note)[1:]
    style = NODE_STYLES[node.kind]
    if not node.is_enabled:
        style = DISABLED
    return f"label={label}, {style}"


def _format_edge(edge: Edge, *, in_loop: bool) -> str:
    attributes = []
    if edge.label:
        attributes.append(f"label={_quote(edge.label)}")
    if edge.is_dashed:
        attributes.append("style=dashed")
    if in_loop:
        attributes.append(LOOP_STYLE)
    suffix = ""
    if attributes:
        suffix = f" [{', '.join(attributes)}]"
    return f"{_quote(edge.start)} -> {_quote(edge.end)}{suffix};"


def _quote(text: str) -> str:
    # A backslash begins an escape in DOT. Some escapes are replaced, such as `\N` by the name of the node.
    return '"' + sanitize(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
