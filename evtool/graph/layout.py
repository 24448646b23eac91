"""Places the graph in columns: nodes in the order of the arrows, few crossings, and every arrow a smooth path.

The method is that of Sugiyama. For the arrows a -> b, b -> c, a -> c and c -> a:

    1. Arrows that close a cycle are set aside: c -> a. They run back below everything else.
    2. A node gets the column behind the last node that leads to it: a | b | c.
    3. An arrow across several columns gets an invisible point in each: a -> c becomes a -> p -> c, with p in the
       column of b.
    4. The order in a column follows the neighbours in the column before it, then in the column behind it, and so on;
       the order with the fewest crossings is kept: b, p.
    5. Heights follow the neighbours as far as the order and the gaps allow: p is level with a and c, so a -> c is
       straight, and b is above it.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

from evtool.graph.model import Arrow

# Sweeps through the columns, by turns to the right and to the left.
SWEEPS = 24
# The part of the usual gap that is between two arrows which pass a column next to each other.
BUNDLE = 0.25
# The first column that a kind may have.
LEVEL = {"type": 0, "route": 1, "handler": 2}


class Point(NamedTuple):
    """The invisible point of an arrow in a column."""

    arrow: Arrow
    column: int


# The id of a node, or a point.
Cell = str | Point
Link = tuple[Cell, Cell]
Neighbours = Mapping[Cell, Sequence[Cell]]


class Columns(NamedTuple):
    """The cells of each column from top to bottom, the arrows that run back, and the links of neighbouring columns."""

    cells: list[list[Cell]]
    back: list[Arrow]
    links: list[Link]


# --- the order in the columns ----------------------------------------------------------------------------------------


def arrange(kinds: Mapping[str, str], arrows: Sequence[Arrow]) -> Columns:
    """Puts nodes, given by id and kind, into columns.

    Arrows go from types to routes, from routes to handlers, and from handlers to types. So a column has one kind.
    """
    forward, back = _remove_cycles(kinds, arrows)
    level = _assign_levels(kinds, forward)
    cells: list[list[Cell]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for node in kinds:
        cells[level[node]].append(node)
    links: list[Link] = []
    for start, end in forward:
        previous: Cell = start
        for column in range(level[start] + 1, level[end]):
            point = Point((start, end), column)
            cells[column].append(point)
            links.append((previous, point))
            previous = point
        links.append((previous, end))
    return Columns(_reduce_crossings(cells, links), back, links)


def _remove_cycles(nodes: Mapping[str, str], arrows: Sequence[Arrow]) -> tuple[list[Arrow], list[Arrow]]:
    """Returns the arrows without those that close a cycle, and these.

    A walk in depth follows the arrows. An arrow closes a cycle if it leads to a node on the way from the root of the
    walk to its start.
    """
    following: dict[str, list[str]] = defaultdict(list)
    for start, end in arrows:
        following[start].append(end)
    on_way: set[str] = set()
    visited: set[str] = set()
    back: list[Arrow] = []
    for root in _list_roots(nodes, arrows):
        if root in visited:
            continue
        visited.add(root)
        on_way.add(root)
        # The stack replaces recursion: a chain of events may be longer than Python's limit.
        stack = [(root, iter(following[root]))]
        while stack:
            node, rest = stack[-1]
            end = next(rest, "")
            if not end:
                on_way.remove(node)
                stack.pop()
            elif end in on_way:
                back.append((node, end))
            elif end not in visited:
                visited.add(end)
                on_way.add(end)
                stack.append((end, iter(following[end])))
    set_aside = set(back)
    return [arrow for arrow in arrows if arrow not in set_aside], back


def _list_roots(nodes: Mapping[str, str], arrows: Sequence[Arrow]) -> list[str]:
    # Nodes that nothing leads to come first. A walk that begins inside a cycle would set another arrow aside.
    entered = {end for _, end in arrows}
    return sorted(nodes, key=entered.__contains__)


def _assign_levels(kinds: Mapping[str, str], arrows: Sequence[Arrow]) -> dict[str, int]:
    before: dict[str, list[str]] = {node: [] for node in kinds}
    for start, end in arrows:
        before[end].append(start)
    level: dict[str, int] = {}
    for node in TopologicalSorter(before).static_order():
        level[node] = LEVEL[kinds[node]]
        if before[node]:
            level[node] = max(level[start] for start in before[node]) + 1
    return level


def _reduce_crossings(cells: list[list[Cell]], links: Sequence[Link]) -> list[list[Cell]]:
    before: dict[Cell, list[Cell]] = defaultdict(list)
    behind: dict[Cell, list[Cell]] = defaultdict(list)
    for start, end in links:
        before[end].append(start)
        behind[start].append(end)
    best = [list(column) for column in cells]
    fewest = _count_crossings(cells, links)
    for sweep in range(SWEEPS):
        if sweep % 2 == 0:
            columns, neighbours = cells, before
        else:
            columns, neighbours = cells[::-1], behind
        for fixed, column in pairwise(columns):
            _order_by_neighbours(column, fixed, neighbours)
        crossings = _count_crossings(cells, links)
        if crossings < fewest:
            best = [list(column) for column in cells]
            fewest = crossings
    return best


def _order_by_neighbours(column: list[Cell], fixed: Sequence[Cell], neighbours: Neighbours) -> None:
    """Orders a column by the mean position of the neighbours of each cell; a cell without any keeps its position."""
    position = {cell: float(number) for number, cell in enumerate(fixed)}
    keys: dict[Cell, tuple[float, int]] = {}
    for number, cell in enumerate(column):
        keys[cell] = _mean([position[other] for other in neighbours[cell]], number), number
    column.sort(key=keys.__getitem__)


def _mean(values: Sequence[float], default: float) -> float:
    if values:
        return sum(values) / len(values)
    return default


def _count_crossings(cells: list[list[Cell]], links: Sequence[Link]) -> int:
    """Counts the pairs of links that cross.

    Two links between the same columns cross if one starts above the other and ends below it. The links are taken in the
    order of their starts; each crosses those before it whose ends are below its own, which bisection counts.
    """
    position: dict[Cell, tuple[int, int]] = {}
    for number, column in enumerate(cells):
        for row, cell in enumerate(column):
            position[cell] = number, row
    rows_of_column: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for start, end in links:
        column_number, start_row = position[start]
        rows_of_column[column_number].append((start_row, position[end][1]))
    total = 0
    for pairs in rows_of_column.values():
        ends: list[int] = []
        for _, end_row in sorted(pairs):
            total += len(ends) - bisect_right(ends, end_row)
            insort(ends, end_row)
    return total


# --- the heights -----------------------------------------------------------------------------------------------------


def place_rows(columns: Columns, heights: Mapping[Cell, float], gap: float) -> dict[Cell, float]:
    """Returns the middle of each cell, counted from the top; cells of a column keep their order and a gap."""
    neighbours: dict[Cell, list[Cell]] = defaultdict(list)
    for start, end in columns.links:
        neighbours[start].append(end)
        neighbours[end].append(start)
    middles: dict[Cell, float] = {}
    for column in columns.cells:
        middles.update(_stack(column, heights, gap, [0.0] * len(column)))
    for sweep in range(SWEEPS):
        sweep_columns = columns.cells
        if sweep % 2:
            sweep_columns = columns.cells[::-1]
        for column in sweep_columns:
            targets = []
            for cell in column:
                pulling = _list_pulling(cell, neighbours[cell])
                targets.append(_mean([middles[other] for other in pulling], middles[cell]))
            middles.update(_stack(column, heights, gap, targets))
    top = min((middles[cell] - heights[cell] / 2 for cell in middles), default=0.0)
    return {cell: middle - top for cell, middle in middles.items()}


def _list_pulling(cell: Cell, neighbours: Sequence[Cell]) -> Sequence[Cell]:
    """The neighbours that a cell should be level with."""
    if isinstance(cell, Point):
        # The points of an arrow are level with each other, so that the arrow is straight between its ends.
        points = [other for other in neighbours if isinstance(other, Point)]
        if points:
            return points
    return neighbours


def _find_gap(above: Cell, below: Cell, gap: float) -> float:
    # Arrows that pass a column next to each other are close together and read as one bundle.
    if isinstance(above, Point) and isinstance(below, Point):
        return gap * BUNDLE
    return gap


class _Block:
    """Cells that touch each other and move together."""

    def __init__(self, target: float):
        self.sum = target
        self.count = 1

    @property
    def start(self) -> float:
        """The mean of what the members want: the place with the least sum of squared distances."""
        return self.sum / self.count

    def absorb(self, other: "_Block") -> None:
        """Takes the members of a block below."""
        self.sum += other.sum
        self.count += other.count


def _stack(
    column: Sequence[Cell], heights: Mapping[Cell, float], gap: float, targets: list[float]
) -> dict[Cell, float]:
    """Returns the heights nearest to the targets (least squares) that keep the order and the gaps.

    Each target is first reduced by the room that the cells above need, so that only the order is left to keep. Cells
    whose reduced targets are in the wrong order form a block. With cells 30 high and gaps of 10:

        targets 100, 110, 300    reduced 100, 70, 220    blocks (100, 70) -> 85, 220    heights 85, 125, 300
    """
    offsets: list[float] = []
    for number, cell in enumerate(column):
        if number == 0:
            offsets.append(0.0)
        else:
            above = column[number - 1]
            distance = heights[above] / 2 + _find_gap(above, cell, gap) + heights[cell] / 2
            offsets.append(offsets[-1] + distance)
    blocks: list[_Block] = []
    for target, offset in zip(targets, offsets, strict=True):
        blocks.append(_Block(target - offset))
        while len(blocks) > 1 and blocks[-2].start > blocks[-1].start:
            last = blocks.pop()
            blocks[-1].absorb(last)
    middles: dict[Cell, float] = {}
    for cell, start, offset in zip(column, _list_starts(blocks), offsets, strict=True):
        middles[cell] = start + offset
    return middles


def _list_starts(blocks: Sequence[_Block]) -> Iterator[float]:
    for block in blocks:
        for _ in range(block.count):
            yield block.start
