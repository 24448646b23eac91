"""The graph as an SVG image that needs nothing else: no font, style sheet, script or program."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from evtool.findings.phrases import shorten
from evtool.graph.layout import Arrow, Cell, arrange, place_rows
from evtool.graph.model import Edge, Graph, Node
from evtool.graph.text_width import measure_text
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import format_count

FONT_SIZE, NOTE_SIZE = 13, 10.5
ROW_GAP, MARGIN, TOP = 18.0, 28.0, 84.0
HEIGHT, NOTE_HEIGHT, POINT_HEIGHT = 32.0, 44.0, 4.0
PADDING = 14.0  # of a label
COLUMN_GAP, COUNT_GAP = 72.0, 104.0  # between columns; with counts on the arrows
CHANNEL = 14.0  # between arrows that run back
MAX_LABEL = 44  # characters; the whole name is in the tooltip
CORNERS = {"type": 16, "route": 4, "handler": 4}  # radius
STYLE = Path(__file__).with_name("image.css").read_text(encoding="utf-8")
MARKERS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
    for name in ("tip", "loop-tip")
)


class Box(NamedTuple):
    """Where a node is."""

    left: float
    middle: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right side, where arrows leave."""
        return self.left + self.width


class Drawing(NamedTuple):
    """Places of nodes, and of the points of each arrow: pairs of the left and the right end in a column."""

    boxes: Mapping[str, Box]
    points: Mapping[Arrow, Sequence[tuple[float, float, float]]]  # left, right, middle of each column between
    back: Sequence[Arrow]
    width: float
    bottom: float


def render_svg(graph: Graph, title: str) -> str:
    """The image. Colours follow the viewer's choice of light or dark; edges of loops are red."""
    drawing = _place(graph)
    title, summary = _escape(title), _escape(describe(graph))
    legend = _format_legend(graph)
    width = max(drawing.width, 2 * MARGIN + measure_text(summary, FONT_SIZE), legend[1])
    height = drawing.bottom + CHANNEL * len(drawing.back) + MARGIN
    labels: list[tuple[float, float, float]] = []
    loop_edges = graph.loop_edges
    edges = sorted(graph.edges, key=lambda edge: (edge.start, edge.end) in loop_edges)  # loops above the others
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="evtool" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="title summary">',
        f'<title id="title">{title}</title><desc id="summary">{summary}</desc>',
        f"<style>{STYLE}</style><defs>{MARKERS}</defs>",
        f'<text x="{MARGIN:.0f}" y="30" font-size="16" font-weight="600">{title}</text>',
        f'<text x="{MARGIN:.0f}" y="50" font-size="12" class="dim">{summary}</text>',
        legend[0],
        *(_format_edge(edge, drawing, (edge.start, edge.end) in loop_edges, labels) for edge in edges),
        *(_format_node(node, drawing.boxes[node.id]) for node in graph.nodes),
        "</svg>\n",
    ]
    return "\n".join(parts)


def describe(graph: Graph) -> str:
    """How much there is of what."""
    counts = [format_count(graph.count_nodes("type"), "event type")]
    counts += [format_count(graph.count_nodes(kind), kind) for kind in ("route", "handler")]
    return ", ".join([*counts, format_count(len(graph.loops), "loop")])


# --- places ----------------------------------------------------------------------------------------------------------


def _place(graph: Graph) -> Drawing:
    arrows = list(dict.fromkeys((edge.start, edge.end) for edge in graph.edges))
    columns = arrange({node.id: node.kind for node in graph.nodes}, arrows)
    heights: dict[Cell, float] = {node.id: NOTE_HEIGHT if node.note else HEIGHT for node in graph.nodes}
    widths = {node.id: _measure_node(node) for node in graph.nodes}
    for column in columns.cells:
        heights.update((cell, POINT_HEIGHT) for cell in column if not isinstance(cell, str))
    middles = place_rows(columns, heights, ROW_GAP)
    has_counts = any(edge.number is not None for edge in graph.edges)
    boxes: dict[str, Box] = {}
    points: dict[Arrow, list[tuple[float, float, float]]] = {}
    left = MARGIN + _find_track(len(columns.back))
    for column in columns.cells:
        width = max((widths[cell] for cell in column if isinstance(cell, str)), default=0.0)
        for cell in column:
            middle = TOP + middles[cell]
            if isinstance(cell, str):
                boxes[cell] = Box(left, middle, width, heights[cell])
            else:
                points.setdefault(cell.arrow, []).append((left, left + width, middle))
        left += width + (COUNT_GAP if has_counts else COLUMN_GAP)
    bottom = TOP + max((middles[cell] + heights[cell] / 2 for cell in middles), default=0.0)
    right = max((box.right for box in boxes.values()), default=MARGIN)
    return Drawing(boxes, points, columns.back, right + MARGIN + _find_track(len(columns.back)), bottom)


def _find_track(number: int) -> float:
    """How far beside a node the arrow with this number runs up or down; there is room for a few in a gap."""
    return 5.0 * min(number, 8)


def _measure_node(node: Node) -> float:
    label, note = measure_text(_shorten_label(node), FONT_SIZE), measure_text(node.note, NOTE_SIZE)
    return max(label, note) + 2 * PADDING


def _shorten_label(node: Node) -> str:
    return shorten(sanitize(node.name), MAX_LABEL)


# --- shapes ----------------------------------------------------------------------------------------------------------


def _format_node(node: Node, box: Box) -> str:
    if node.is_enabled:
        classes = node.kind
    else:
        classes = f"{node.kind} disabled"
    center, top = box.left + box.width / 2, box.middle - box.height / 2
    tooltip = "\n".join(
        filter(None, [f"{node.kind} {sanitize(node.name)}", sanitize(node.note), sanitize(node.description)])
    )
    label = _escape(_shorten_label(node))
    name_y = box.middle + (-2 if node.note else 4.5)
    note = ""
    if node.note:
        note = f'<text x="{center:.1f}" y="{box.middle + 14:.1f}" font-size="{NOTE_SIZE}" class="note">'
    if node.note:
        note += f"{_escape(node.note)}</text>"
    return (
        f'<g class="node {classes}" data-id="{_escape(node.id)}" text-anchor="middle"><title>{escape(tooltip)}</title>'
        f'<rect x="{box.left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{CORNERS[node.kind]}" stroke-width="1.5"/>'
        f'<text x="{center:.1f}" y="{name_y:.1f}" font-size="{FONT_SIZE}">{label}</text>{note}</g>'
    )


def _format_edge(edge: Edge, drawing: Drawing, in_loop: bool, labels: list[tuple[float, float, float]]) -> str:  # noqa: FBT001
    arrow = (edge.start, edge.end)
    start, end = drawing.boxes[edge.start], drawing.boxes[edge.end]
    is_dashed = not (edge.is_certain and edge.is_enabled)
    classes = " ".join(["edge", *(["dashed"] if is_dashed else []), *(["loop"] if in_loop else [])])
    texts = [*([f"{edge.number:,}"] if edge.number is not None else []), *([] if edge.is_certain else ["?"])]
    if arrow in drawing.back:
        path, label_at = _route_back(start, end, drawing, drawing.back.index(arrow))
    else:
        path, label_at = _route_forward(start, end, drawing.points.get(arrow, ()), labels)
    label = ""
    if texts:
        label = _format_label(" ".join(texts), label_at, labels)
    marker = "tip"
    if in_loop:
        marker = "loop-tip"
    return (
        f'<g class="{classes}" data-start="{_escape(edge.start)}" data-end="{_escape(edge.end)}">'
        f'<path d="{path}" marker-end="url(#{marker})"/>{label}</g>'
    )


def _route_forward(
    start: Box, end: Box, between: Iterable[tuple[float, float, float]], labels: Sequence[tuple[float, float, float]]
) -> tuple[str, tuple[float, float]]:
    """A smooth path through the points, and a place for a label in its first part that is free of other labels."""
    x, y = start.right, start.middle
    path = [f"M{x:.1f} {y:.1f}"]
    places: list[tuple[float, float]] = []
    for left, right, middle in (*between, (end.left, end.left, end.middle)):
        bend = (left - x) / 2
        path.append(f"C{x + bend:.1f} {y:.1f} {left - bend:.1f} {middle:.1f} {left:.1f} {middle:.1f}")
        if not places:
            places = [
                (x + (left - x) * (1.5 * t - 1.5 * t * t + t**3), y + (middle - y) * (3 * t * t - 2 * t**3))
                for t in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
            ]
        if right > left:
            path.append(f"L{right:.1f} {middle:.1f}")
        x, y = right, middle
    free = (place for place in places if _is_free(place, labels))
    return "".join(path), next(free, places[0])


def _is_free(place: tuple[float, float], labels: Sequence[tuple[float, float, float]]) -> bool:
    return all(abs(place[0] - x) > half + 12 or abs(place[1] - y) > 16 for x, y, half in labels)


def _route_back(start: Box, end: Box, drawing: Drawing, number: int) -> tuple[str, tuple[float, float]]:
    """A path below everything else, with round corners, to the left side of a node in an earlier column."""
    channel = drawing.bottom + CHANNEL * (number + 1)
    right, left = start.right + 16 + _find_track(number), end.left - 16 - _find_track(number)
    path = (
        f"M{start.right:.1f} {start.middle:.1f}H{right - 8:.1f}q8 0 8 8V{channel - 8:.1f}q0 8 -8 8"
        f"H{left + 8:.1f}q-8 0 -8 -8V{end.middle + 8:.1f}q0 -8 8 -8H{end.left:.1f}"
    )
    return path, ((left + right) / 2, channel)


def _format_label(text: str, at: tuple[float, float], labels: list[tuple[float, float, float]]) -> str:
    half = measure_text(text, NOTE_SIZE) / 2 + 4
    labels.append((*at, half))
    x, y = at
    return (
        f'<g class="label"><rect x="{x - half:.1f}" y="{y - 8:.1f}" width="{2 * half:.1f}" height="16" rx="8"/>'
        f'<text x="{x:.1f}" y="{y + 3.8:.1f}" font-size="{NOTE_SIZE}" text-anchor="middle">{_escape(text)}</text></g>'
    )


def _format_legend(graph: Graph) -> tuple[str, float]:
    """What shapes and lines mean, as far as they occur, and where it ends."""
    x, y, parts = MARGIN, 68.0, []
    for kind, name in (("type", "event type"), ("route", "route"), ("handler", "handler")):
        parts.append(
            f'<g class="{kind}"><rect x="{x:.1f}" y="{y - 9:.1f}" width="18" height="11" rx="{CORNERS[kind] / 3}"/></g>'
        )
        parts.append(f'<text x="{x + 24:.1f}" y="{y:.1f}" font-size="11" class="dim">{name}</text>')
        x += 24 + measure_text(name, 11) + 18
    lines = [
        ("edge loop", "loop", bool(graph.loops)),
        ("edge dashed", "disabled", any(not node.is_enabled for node in graph.nodes)),
        ("edge dashed", "? depends on an unknown source or value", any(not edge.is_certain for edge in graph.edges)),
    ]
    for classes, name, occurs in lines:
        if occurs:
            parts.append(f'<g class="{classes}"><path d="M{x:.1f} {y - 4:.1f}h22"/></g>')
            parts.append(f'<text x="{x + 28:.1f}" y="{y:.1f}" font-size="11" class="dim">{name}</text>')
            x += 28 + measure_text(name, 11) + 18
    return "".join(parts), x + MARGIN


def _escape(text: str) -> str:
    return escape(sanitize(text))
