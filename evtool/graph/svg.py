"""The graph as an SVG image that needs nothing else: no font, style sheet, script or program."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from evtool.findings.phrases import shorten
from evtool.graph.layout import Cell, Columns, arrange, place_rows
from evtool.graph.model import Arrow, Edge, Graph, Node
from evtool.graph.text_width import measure_text
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import format_count

FONT_SIZE, NOTE_SIZE = 13, 10.5
ROW_GAP, MARGIN, TOP = 18.0, 28.0, 84.0
HEIGHT, NOTE_HEIGHT, POINT_HEIGHT = 32.0, 44.0, 4.0
# Between a label and the border of its box.
PADDING = 14.0
# Between two columns, without and with counts on the arrows.
COLUMN_GAP, COUNT_GAP = 72.0, 104.0
# Between arrows that run back.
CHANNEL = 14.0
# Characters; the whole name is in the tooltip.
MAX_LABEL = 44
# Radius of the corners of a box.
CORNERS = {"type": 16, "route": 4, "handler": 4}
# The middle first, then places nearer and nearer to the ends of an arrow.
LABEL_PLACES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
STYLE = Path(__file__).with_name("image.css").read_text(encoding="utf-8")


def _format_marker(name: str) -> str:
    """The head of an arrow. It has its colour from the style sheet, since markers do not inherit that of their line."""
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
    )


MARKERS = _format_marker("tip") + _format_marker("loop-tip")


class Passage(NamedTuple):
    """Where an arrow passes a column: it is straight from the left to the right side of the column."""

    left: float
    right: float
    middle: float


class Spot(NamedTuple):
    """The middle of a label on an arrow."""

    x: float
    y: float


class LabelBox(NamedTuple):
    """The place that a label has taken."""

    x: float
    y: float
    half_width: float


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
    """Places of the nodes, and where each arrow passes the columns between its ends."""

    boxes: Mapping[str, Box]
    passages: Mapping[Arrow, Sequence[Passage]]
    back: Sequence[Arrow]
    width: float
    bottom: float


def render_svg(graph: Graph, title: str) -> str:
    """Renders the image. Colours follow the viewer's choice of light or dark; edges of loops are red."""
    drawing = _place(graph)
    title, summary = _escape(title), _escape(describe(graph))
    legend, legend_width = _format_legend(graph)
    width = max(drawing.width, 2 * MARGIN + measure_text(summary, FONT_SIZE), legend_width)
    height = drawing.bottom + CHANNEL * len(drawing.back) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="evtool" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="title summary">',
        f'<title id="title">{title}</title><desc id="summary">{summary}</desc>',
        f"<style>{STYLE}</style><defs>{MARKERS}</defs>",
        f'<text x="{MARGIN:.0f}" y="30" font-size="16" font-weight="600">{title}</text>',
        f'<text x="{MARGIN:.0f}" y="50" font-size="12" class="dim">{summary}</text>',
        legend,
    ]
    # SVG paints in the order of the text: edges of loops are above other edges, and nodes are above all edges.
    loop_edges = graph.loop_edges
    labels: list[LabelBox] = []
    for edge in graph.edges:
        if edge.arrow not in loop_edges:
            parts.append(_format_edge(edge, drawing, labels, in_loop=False))
    for edge in graph.edges:
        if edge.arrow in loop_edges:
            parts.append(_format_edge(edge, drawing, labels, in_loop=True))
    for node in graph.nodes:
        parts.append(_format_node(node, drawing.boxes[node.id]))
    parts.append("</svg>\n")
    return "\n".join(parts)


def describe(graph: Graph) -> str:
    """Returns the numbers of nodes and loops in words."""
    counts = [format_count(graph.count_nodes("type"), "event type")]
    for kind in ("route", "handler"):
        counts.append(format_count(graph.count_nodes(kind), kind))
    counts.append(format_count(len(graph.loops), "loop"))
    return ", ".join(counts)


# --- places ----------------------------------------------------------------------------------------------------------


def _place(graph: Graph) -> Drawing:
    # An edge of a graph may occur twice, such as a handler that a route names twice: one arrow is drawn for both.
    arrows = list(dict.fromkeys(edge.arrow for edge in graph.edges))
    columns = arrange({node.id: node.kind for node in graph.nodes}, arrows)
    middles, bottom = _place_middles(graph, columns)
    widths = {node.id: _measure_node(node) for node in graph.nodes}
    gap = COLUMN_GAP
    if graph.has_counts:
        gap = COUNT_GAP
    boxes: dict[str, Box] = {}
    passages: dict[Arrow, list[Passage]] = defaultdict(list)
    heights = _list_heights(graph)
    left = MARGIN + _find_track(len(columns.back))
    right = MARGIN
    for column in columns.cells:
        width = max((widths[cell] for cell in column if isinstance(cell, str)), default=0.0)
        for cell in column:
            middle = TOP + middles[cell]
            if isinstance(cell, str):
                boxes[cell] = Box(left, middle, width, heights[cell])
                right = max(right, boxes[cell].right)
            else:
                passages[cell.arrow].append(Passage(left, left + width, middle))
        left += width + gap
    return Drawing(boxes, passages, columns.back, right + MARGIN + _find_track(len(columns.back)), bottom)


def _place_middles(graph: Graph, columns: Columns) -> tuple[Mapping[Cell, float], float]:
    """Returns the middle of each cell, from the top of the columns, and where the lowest one ends in the image."""
    heights: dict[Cell, float] = dict.fromkeys(chain.from_iterable(columns.cells), POINT_HEIGHT)
    heights.update(_list_heights(graph))
    middles = place_rows(columns, heights, ROW_GAP)
    lowest = max((middles[cell] + heights[cell] / 2 for cell in middles), default=0.0)
    return middles, TOP + lowest


def _list_heights(graph: Graph) -> dict[str, float]:
    heights = {}
    for node in graph.nodes:
        heights[node.id] = HEIGHT
        if node.note:
            heights[node.id] = NOTE_HEIGHT
    return heights


def _find_track(number: int) -> float:
    """The distance from a node at which the arrow with this number runs up or down."""
    # A gap has room for a few such tracks, so further arrows share the last one.
    return 5.0 * min(number, 8)


def _measure_node(node: Node) -> float:
    label, note = measure_text(_shorten_label(node), FONT_SIZE), measure_text(node.note, NOTE_SIZE)
    return max(label, note) + 2 * PADDING


def _shorten_label(node: Node) -> str:
    return shorten(sanitize(node.name), MAX_LABEL)


# --- shapes ----------------------------------------------------------------------------------------------------------


def _format_node(node: Node, box: Box) -> str:
    classes = node.kind
    if not node.is_enabled:
        classes = f"{node.kind} disabled"
    center, top = box.left + box.width / 2, box.middle - box.height / 2
    tooltip = "\n".join(
        filter(None, [f"{node.kind} {sanitize(node.name)}", sanitize(node.note), sanitize(node.description)])
    )
    label = _escape(_shorten_label(node))
    name_y = box.middle + 4.5
    note = ""
    if node.note:
        name_y = box.middle - 2
        note = (
            f'<text x="{center:.1f}" y="{box.middle + 14:.1f}" font-size="{NOTE_SIZE}" class="note">'
            f"{_escape(node.note)}</text>"
        )
    return (
        f'<g class="node {classes}" data-id="{_escape(node.id)}" text-anchor="middle"><title>{escape(tooltip)}</title>'
        f'<rect x="{box.left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{CORNERS[node.kind]}" stroke-width="1.5"/>'
        f'<text x="{center:.1f}" y="{name_y:.1f}" font-size="{FONT_SIZE}">{label}</text>{note}</g>'
    )


def _format_edge(edge: Edge, drawing: Drawing, labels: list[LabelBox], *, in_loop: bool) -> str:
    start, end = drawing.boxes[edge.start], drawing.boxes[edge.end]
    classes = ["edge"]
    if edge.is_dashed:
        classes.append("dashed")
    if in_loop:
        classes.append("loop")
    if edge.arrow in drawing.back:
        path, spot = _route_back(start, end, drawing, drawing.back.index(edge.arrow))
    else:
        path, spot = _route_forward(start, end, drawing.passages.get(edge.arrow, ()), labels)
    label = ""
    if edge.label:
        label = _format_label(edge.label, spot, labels)
    marker = "tip"
    if in_loop:
        marker = "loop-tip"
    return (
        f'<g class="{" ".join(classes)}" data-start="{_escape(edge.start)}" data-end="{_escape(edge.end)}">'
        f'<path d="{path}" marker-end="url(#{marker})"/>{label}</g>'
    )


def _route_forward(start: Box, end: Box, passages: Sequence[Passage], labels: Sequence[LabelBox]) -> tuple[str, Spot]:
    """Returns a smooth path through the passages, and a spot on its first curve that is free of other labels."""
    x, y = start.right, start.middle
    path = [f"M{x:.1f} {y:.1f}"]
    spot: Spot | None = None
    for left, right, middle in chain(passages, [Passage(end.left, end.left, end.middle)]):
        bend = (left - x) / 2
        path.append(f"C{x + bend:.1f} {y:.1f} {left - bend:.1f} {middle:.1f} {left:.1f} {middle:.1f}")
        if spot is None:
            spot = _find_free_spot(x, y, left, middle, labels)
        if right > left:
            path.append(f"L{right:.1f} {middle:.1f}")
        x, y = right, middle
    assert spot is not None
    return "".join(path), spot


def _find_free_spot(x: float, y: float, end_x: float, end_y: float, labels: Sequence[LabelBox]) -> Spot:
    """Returns the first spot on a curve that no label covers, or its middle if all are covered."""
    middle = _find_spot(x, y, end_x, end_y, LABEL_PLACES[0])
    for part in LABEL_PLACES:
        spot = _find_spot(x, y, end_x, end_y, part)
        if _is_free(spot, labels):
            return spot
    return middle


def _find_spot(x: float, y: float, end_x: float, end_y: float, t: float) -> Spot:
    # The point at t of the Bezier curve whose control points are at half of its width, level with its ends.
    return Spot(x + (end_x - x) * (1.5 * t - 1.5 * t * t + t**3), y + (end_y - y) * (3 * t * t - 2 * t**3))


def _is_free(spot: Spot, labels: Sequence[LabelBox]) -> bool:
    return all(abs(spot.x - x) > half + 12 or abs(spot.y - y) > 16 for x, y, half in labels)


def _route_back(start: Box, end: Box, drawing: Drawing, number: int) -> tuple[str, Spot]:
    """Returns a path below everything else, with round corners, to the left side of a node in an earlier column."""
    # Each arrow has its own channel, and the first ones have their own tracks, so that they do not lie on each other.
    channel = drawing.bottom + CHANNEL * (number + 1)
    right, left = start.right + 16 + _find_track(number), end.left - 16 - _find_track(number)
    path = (
        f"M{start.right:.1f} {start.middle:.1f}H{right - 8:.1f}q8 0 8 8V{channel - 8:.1f}q0 8 -8 8"
        f"H{left + 8:.1f}q-8 0 -8 -8V{end.middle + 8:.1f}q0 -8 8 -8H{end.left:.1f}"
    )
    return path, Spot((left + right) / 2, channel)


def _format_label(text: str, spot: Spot, labels: list[LabelBox]) -> str:
    """Draws a label, and adds its place to `labels`, so that later ones avoid it."""
    half_width = measure_text(text, NOTE_SIZE) / 2 + 4
    x, y = spot
    labels.append(LabelBox(x, y, half_width))
    return (
        f'<g class="label"><rect x="{x - half_width:.1f}" y="{y - 8:.1f}" width="{2 * half_width:.1f}" '
        f'height="16" rx="8"/>'
        f'<text x="{x:.1f}" y="{y + 3.8:.1f}" font-size="{NOTE_SIZE}" text-anchor="middle">{_escape(text)}</text></g>'
    )


def _format_legend(graph: Graph) -> tuple[str, float]:
    """Explains the shapes, and the lines that occur. Returns the legend and where it ends."""
    x, y, parts = MARGIN, 68.0, []
    for kind, name in (("type", "event type"), ("route", "route"), ("handler", "handler")):
        parts.append(
            f'<g class="{kind}"><rect x="{x:.1f}" y="{y - 9:.1f}" width="18" height="11" rx="{CORNERS[kind] / 3}"/></g>'
        )
        parts.append(f'<text x="{x + 24:.1f}" y="{y:.1f}" font-size="11" class="dim">{name}</text>')
        x += 24 + measure_text(name, 11) + 18
    lines = []
    if graph.loops:
        lines.append(("edge loop", "loop"))
    if not all(node.is_enabled for node in graph.nodes):
        lines.append(("edge dashed", "disabled"))
    if not all(edge.is_certain for edge in graph.edges):
        lines.append(("edge dashed", "? depends on an unknown source or value"))
    for classes, name in lines:
        parts.append(f'<g class="{classes}"><path d="M{x:.1f} {y - 4:.1f}h22"/></g>')
        parts.append(f'<text x="{x + 28:.1f}" y="{y:.1f}" font-size="11" class="dim">{name}</text>')
        x += 28 + measure_text(name, 11) + 18
    return "".join(parts), x + MARGIN


def _escape(text: str) -> str:
    return escape(sanitize(text))
