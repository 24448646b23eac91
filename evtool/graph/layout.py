"""Places the graph in columns: nodes in the order of the arrows, few crossings, and every arrow a smooth path.

The method is that of Sugiyama: (1) arrows that close a cycle are set aside, (2) each node gets the column behind the
last node that leads to it, (3) an arrow across several columns gets an invisible point in each, (4) the order in the
columns follows the neighbours, to and fro, and the order with the fewest crossings is kept, (5) heights follow the
neighbours as far as the order and the distances allow. Arrows that were set aside run back below everything else.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

Arrow = tuple[str, str]
SWEEPS = 24
BUNDLE = 0.25  # part of the gap that two arrows beside each other need
LEVEL = {"type": 0, "route": 1, "handler": 2}


class Point(NamedTuple):
    """The invisible point of an arrow in a column."""

    arrow: Arrow
    column: int


Cell = str | Point  # a node, or a point


class Columns(NamedTuple):
    """Who is in which column, from top to bottom, and which arrows run back."""

    cells: list[list[Cell]]
    back: list[Arrow]
    links: list[tuple[Cell, Cell]]  # between neighbouring columns


def arrange(kinds: Mapping[str, str], arrows: Sequence[Arrow]) -> Columns:
    """The columns of nodes, given by id and kind. A kind has every third column, since arrows go from kind to kind."""
    forward, back = _remove_cycles(list(kinds), arrows)
    level = _assign_levels(kinds, forward)
    cells: list[list[Cell]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for node in kinds:
        cells[level[node]].append(node)
    links: list[tuple[Cell, Cell]] = []
    for start, end in forward:
        points = [Point((start, end), number) for number in range(level[start] + 1, level[end])]
        for point in points:
            cells[point.column].append(point)
        links += zip([start, *points], [*points, end], strict=True)
    return Columns(_reduce_crossings(cells, links), back, links)


def _remove_cycles(nodes: Sequence[str], arrows: Sequence[Arrow]) -> tuple[list[Arrow], list[Arrow]]:
    """The arrows without those that lead back to where a walk along the arrows came from, and these."""
    following: dict[str, list[str]] = defaultdict(list)
    entered = set()
    for start, end in arrows:
        following[start].append(end)
        entered.add(end)
    state: dict[str, str] = {}
    back: list[Arrow] = []
    for root in sorted(nodes, key=lambda node: node in entered):
        if root not in state:
            stack = [(root, iter(following[root]))]
        else:
            stack = []
        state.setdefault(root, "open")
        while stack:
            node, rest = stack[-1]
            end = next(rest, "")
            if not end:
                state[node] = "done"
                stack.pop()
            elif state.get(end) == "open":
                back.append((node, end))
            elif end not in state:
                state[end] = "open"
                stack.append((end, iter(following[end])))
    set_aside = set(back)
    return [arrow for arrow in arrows if arrow not in set_aside], back


def _assign_levels(kinds: Mapping[str, str], arrows: Sequence[Arrow]) -> dict[str, int]:
    before: dict[str, list[str]] = {node: [] for node in kinds}
    for start, end in arrows:
        before[end].append(start)
    level: dict[str, int] = {}
    for node in TopologicalSorter(before).static_order():
        level[node] = max((level[start] + 1 for start in before[node]), default=LEVEL[kinds[node]])
    return level


def _reduce_crossings(cells: list[list[Cell]], links: Sequence[tuple[Cell, Cell]]) -> list[list[Cell]]:
    neighbours: list[dict[Cell, list[Cell]]] = [defaultdict(list), defaultdict(list)]
    for start, end in links:
        neighbours[0][end].append(start)
        neighbours[1][start].append(end)
    best, fewest = [list(column) for column in cells], _count_crossings(cells, links)
    for sweep in range(SWEEPS):
        side = sweep % 2
        if side == 0:
            columns = cells
        else:
            columns = cells[::-1]
        for fixed, column in pairwise(columns):
            position = {cell: float(number) for number, cell in enumerate(fixed)}
            own = {cell: number for number, cell in enumerate(column)}
            column.sort(key=lambda cell: (_mean([position[n] for n in neighbours[side][cell]], own[cell]), own[cell]))
        crossings = _count_crossings(cells, links)
        if crossings < fewest:
            best, fewest = [list(column) for column in cells], crossings
    return best


def _mean(values: Sequence[float], default: float) -> float:
    if values:
        return sum(values) / len(values)
    return default


def _count_crossings(cells: list[list[Cell]], links: Sequence[tuple[Cell, Cell]]) -> int:
    position = {cell: (number, row) for number, column in enumerate(cells) for row, cell in enumerate(column)}
    total = 0
    ends: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for start, end in links:
        ends[position[start][0]].append((position[start][1], position[end][1]))
    for pairs in ends.values():
        seen: list[int] = []
        for _, row in sorted(pairs):
            total += len(seen) - bisect_right(seen, row)
            insort(seen, row)
    return total


def place_rows(columns: Columns, heights: Mapping[Cell, float], gap: float) -> dict[Cell, float]:
    """The middle of each cell, counted from the top; cells of a column keep their order and a gap."""
    neighbours: dict[Cell, list[Cell]] = defaultdict(list)
    for start, end in columns.links:
        neighbours[start].append(end)
        neighbours[end].append(start)
    middles: dict[Cell, float] = {}
    for column in columns.cells:
        middles.update(_stack(column, heights, gap, [0.0] * len(column)))
    for sweep in range(SWEEPS):
        for column in columns.cells if sweep % 2 == 0 else columns.cells[::-1]:
            wanted = [
                _mean([middles[n] for n in _list_pulling(cell, neighbours[cell])], middles[cell]) for cell in column
            ]
            middles.update(_stack(column, heights, gap, wanted))
    top = min((middles[cell] - heights[cell] / 2 for cell in middles), default=0.0)
    return {cell: middle - top for cell, middle in middles.items()}


def _list_pulling(cell: Cell, neighbours: Sequence[Cell]) -> Sequence[Cell]:
    """The neighbours that a cell wants to be level with: a point keeps its arrow straight from point to point."""
    if isinstance(cell, str):
        points = []
    else:
        points = [other for other in neighbours if not isinstance(other, str)]
    return points or neighbours


def _find_gap(above: Cell, below: Cell, gap: float) -> float:
    """Arrows that pass a column beside each other are close together, like the wires of a bundle."""
    if isinstance(above, str) or isinstance(below, str):
        return gap
    return gap * BUNDLE


def _stack(column: Sequence[Cell], heights: Mapping[Cell, float], gap: float, wanted: list[float]) -> dict[Cell, float]:
    """The heights nearest to the wanted ones (least squares) that keep order and gaps: neighbours that would overlap
    form a block, which takes the mean of what its members want."""
    offsets = [0.0]
    for above, below in pairwise(column):
        offsets.append(offsets[-1] + heights[above] / 2 + _find_gap(above, below, gap) + heights[below] / 2)
    blocks: list[list[float]] = []  # sum of what the members want, their number
    for want, offset in zip(wanted, offsets, strict=False):
        blocks.append([want - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, number = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += number
    starts = [total / number for total, number in blocks for _ in range(int(number))]
    return {cell: start + offset for cell, start, offset in zip(column, starts, offsets, strict=False)}
