"""Builds the automaton of a regular expression: its characters as positions, and how often one can follow another.

In `(a*)*` the position `a` follows itself in two ways, by the inner repetition and by the outer one. A backtracking
engine tries both for each character.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evtool.regex.syntax import (
    MAX_CODE,
    Alternatives,
    Anchor,
    Characters,
    Node,
    NotPlainError,
    Ranges,
    Repetition,
    Sequential,
    list_ranges,
)

MAX_STATES = 3000
MAX_POSITIONS = 120
MAX_STEPS = 200_000  # of the search for ways from one character to the next
SAMPLES = (
    *range(0x61, 0x7B),
    *range(0x30, 0x3A),
    *range(0x41, 0x5B),
    0x21,
    0x20,
)  # characters for examples, best first


class Follow(NamedTuple):
    """What may come after a position: the positions, each with 1 or 2 for one or several ways, and the end."""

    positions: dict[int, int]
    ends: bool  # the expression may end here, whatever follows in the text
    ends_at_end: bool  # it may end here if the text does


class Automaton(NamedTuple):
    """`characters` are the positions as sets of letters; a letter is a bit and stands for characters that are alike.

    `first` begins at the start of the text, `later` behind it, where `^` does not hold.
    """

    characters: list[int]
    first: Follow
    later: Follow
    follow: list[Follow]
    letters: list[str]  # an example of each


class _States:
    """The states of the automaton while it is built: each has empty moves, anchors, or a character to read."""

    def __init__(self) -> None:
        self.moves: list[list[tuple[int, bool | None]]] = []  # the next state; True behind `$`, False behind `^`
        self.characters: dict[int, tuple[Ranges, int]] = {}
        self.loops: set[int] = set()  # the states behind a repeated part, which every cycle of empty moves contains

    def add(self) -> int:
        if len(self.moves) >= MAX_STATES:
            raise NotPlainError
        self.moves.append([])
        return len(self.moves) - 1

    def build(self, node: Node, start: int) -> int:
        """Adds the states of a part that begins in a state; the state in which it ends."""
        end = self.add()
        match node:
            case Characters(ranges):
                self.characters[start] = (ranges, end)
            case Anchor(is_end):
                self.moves[start].append((end, is_end))
            case Sequential(parts):
                current = start
                for part in parts:
                    current = self.build(part, self.follow_on(current))
                self.moves[current].append((end, None))
            case Alternatives(parts):
                for part in parts:
                    self.moves[self.build(part, self.follow_on(start))].append((end, None))
            case Repetition():
                self.repeat(node, start, end)
        return end

    def follow_on(self, state: int) -> int:
        """A new state behind another one."""
        new = self.add()
        self.moves[state].append((new, None))
        return new

    def repeat(self, node: Repetition, start: int, end: int) -> None:
        current = start
        for _ in range(node.least):
            current = self.build(node.part, self.follow_on(current))
        if node.most is None:
            entry, again, begin = self.follow_on(current), self.add(), self.add()
            self.moves[self.build(node.part, begin)].append((again, None))
            self.moves[entry] += [(begin, None), (end, None)]
            self.moves[again] += [(begin, None), (end, None)]
            self.loops.add(again)
            return
        for _ in range(node.most - node.least):
            self.moves[current].append((end, None))
            current = self.build(node.part, self.follow_on(current))
        self.moves[current].append((end, None))


def build_automaton(node: Node, others: Sequence[Node] = ()) -> Automaton:
    """The automaton of a tree. Raises NotPlainError if it is too large.

    Its letters also tell the characters of other trees apart, so that automata can be compared.
    """
    states = _States()
    start = states.add()
    end = states.build(node, start)
    if len(states.characters) > MAX_POSITIONS:
        raise NotPlainError
    bounds = sorted(
        {
            0,
            *(
                bound
                for tree in (node, *others)
                for ranges in list_ranges(tree)
                for a, b in ranges
                for bound in (a, b + 1)
            ),
        }
    )
    bounds = [bound for bound in bounds if bound <= MAX_CODE]
    spans = list(zip(bounds, [*(bound - 1 for bound in bounds[1:]), MAX_CODE], strict=True))
    positions = {state: index for index, state in enumerate(states.characters)}
    sets = [
        sum(1 << i for i, (a, _) in enumerate(spans) if any(first <= a <= last for first, last in ranges))
        for ranges, _ in states.characters.values()
    ]
    follow = [_follow(states, after, end, positions, at_start=False) for _, after in states.characters.values()]
    first, later = (_follow(states, start, end, positions, at_start=at_start) for at_start in (True, False))
    return Automaton(sets, first, later, follow, list(map(_pick, spans)))


def _pick(span: tuple[int, int]) -> str:
    code = next((code for code in SAMPLES if span[0] <= code <= span[1]), span[0])
    return chr(code)


def _follow(states: _States, start: int, end: int, positions: dict[int, int], *, at_start: bool) -> Follow:
    """Walks all ways of empty moves; none repeats a part without a character, which engines do not try either."""
    counts: dict[int, int] = {}
    ends = ends_at_end = False
    for step, (state, is_behind_end) in enumerate(_walk(states, start, at_start=at_start)):
        if step > MAX_STEPS:
            raise NotPlainError
        if state == end:
            ends, ends_at_end = ends or not is_behind_end, True
        if state in positions and not is_behind_end:
            counts[positions[state]] = min(2, counts.get(positions[state], 0) + 1)
    return Follow(counts, ends, ends_at_end)


def _walk(states: _States, start: int, *, at_start: bool) -> Iterator[tuple[int, bool]]:
    stack: list[tuple[int, bool, frozenset[int]]] = [(start, False, frozenset())]
    while stack:
        state, is_behind_end, seen = stack.pop()
        yield state, is_behind_end
        if state in states.loops:
            seen = seen | {state}
        for target, anchor in states.moves[state]:
            if target not in seen and (anchor is not False or at_start):
                stack.append((target, is_behind_end or anchor is True, seen))
