"""Builds the automaton of a regular expression: which of its characters can follow which.

Each place in the expression that reads one character is a position. The automaton records which positions a text can
begin with, which positions can follow each position, and where a text can end.

Example: `^(ab|c)*$` has the positions 0 for `a`, 1 for `b` and 2 for `c`.

    before the first character:  0 or 2 can follow, and the text may end
    after position 0:            1 can follow
    after position 1:            0 or 2 can follow, and the text may end
    after position 2:            0 or 2 can follow, and the text may end

The automaton also records whether a position can follow another one in several ways. In `(a*)*` the position of `a`
follows itself in two ways, by the inner repetition and by the outer one. A backtracking engine tries both ways for
each character, so it needs exponential time for some texts.

There are too many Unicode characters to examine each of them. The automaton therefore divides them into letters: the
characters of a letter behave alike everywhere in the expression. The example has five letters: the characters before
`a`, `a`, `b`, `c`, and the characters after `c`.
"""

import string
from collections.abc import Iterator, Sequence
from itertools import pairwise
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

# The search over pairs of positions is quadratic, so these limits keep it below a second.
MAX_STATES = 3000
MAX_POSITIONS = 120
# Steps of the walk from one character to the next. Nested optional parts have exponentially many ways.
MAX_STEPS = 200_000
# Characters for examples. The first one that fits is used, so that people see a letter rather than a control character.
SAMPLES = string.ascii_lowercase + string.digits + string.ascii_uppercase + "! "


class Follow(NamedTuple):
    """The positions that can come after a position.

    `positions` maps each position that can follow to 1 for one way, or to 2 for several ways. `ends` says that the
    expression may end here before any further text. `ends_at_end` says that it may end here if the text does.
    """

    positions: dict[int, int]
    ends: bool
    ends_at_end: bool


class Automaton(NamedTuple):
    """The positions of an expression and what can follow each of them.

    `characters` has the letters of each position as a bit set. `first` is what can come at the start of the text,
    `later` what can come further on, where `^` does not hold. `letters` has an example character of each letter.
    """

    characters: list[int]
    first: Follow
    later: Follow
    follow: list[Follow]
    letters: list[str]


class _States:
    """The states of the automaton while it is built: each has empty moves, anchors, or a character to read.

    A move leads to another state. Its anchor is True for `$`, False for `^`, and None for neither.
    """

    def __init__(self) -> None:
        self.moves: list[list[tuple[int, bool | None]]] = []
        self.characters: dict[int, tuple[Ranges, int]] = {}
        # The states after a repeated part. Every cycle of empty moves contains one of them.
        self.loops: set[int] = set()

    def add(self) -> int:
        if len(self.moves) >= MAX_STATES:
            raise NotPlainError
        self.moves.append([])
        return len(self.moves) - 1

    def build(self, node: Node, start: int) -> int:
        """Adds the states of a part that begins in a state. Returns the state in which the part ends."""
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
        """Adds a state that an empty move reaches from another state."""
        new = self.add()
        self.moves[state].append((new, None))
        return new

    def repeat(self, node: Repetition, start: int, end: int) -> None:
        # `a{2,4}` becomes `aa(a(a)?)?`: a copy of the part for each possible repetition.
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
    """Builds the automaton of a tree. Raises NotPlainError if it is too large.

    Its letters also distinguish the characters of the trees in `others`, so that their automata can be compared.
    """
    states = _States()
    start = states.add()
    end = states.build(node, start)
    if len(states.characters) > MAX_POSITIONS:
        raise NotPlainError
    spans = _split_characters([node, *others])
    positions = {state: index for index, state in enumerate(states.characters)}
    characters = []
    follow = []
    for ranges, after in states.characters.values():
        characters.append(_to_letters(ranges, spans))
        follow.append(_follow(states, after, end, positions, at_start=False))
    first = _follow(states, start, end, positions, at_start=True)
    later = _follow(states, start, end, positions, at_start=False)
    return Automaton(characters, first, later, follow, [_pick(span) for span in spans])


def _split_characters(trees: Sequence[Node]) -> list[tuple[int, int]]:
    """Divides all code points at the bounds of the ranges in some trees: each span is one letter."""
    # No code point is beyond MAX_CODE: the bound after it ends the last span.
    bounds = {0, MAX_CODE + 1}
    for tree in trees:
        for ranges in list_ranges(tree):
            for first, last in ranges:
                bounds.add(first)
                bounds.add(last + 1)
    return [(start, following - 1) for start, following in pairwise(sorted(bounds))]


def _to_letters(ranges: Ranges, spans: Sequence[tuple[int, int]]) -> int:
    """The letters of some ranges as a bit set. No range ends inside a span, so the first code point decides."""
    letters = 0
    for letter, (start, _) in enumerate(spans):
        if any(first <= start <= last for first, last in ranges):
            letters |= 1 << letter
    return letters


def _pick(span: tuple[int, int]) -> str:
    first, last = span
    for char in SAMPLES:
        if first <= ord(char) <= last:
            return char
    return chr(first)


def _follow(states: _States, start: int, end: int, positions: dict[int, int], *, at_start: bool) -> Follow:
    """Walks all ways of empty moves from a state to the next characters, and to the end."""
    counts: dict[int, int] = {}
    ends = ends_at_end = False
    for step, (state, is_behind_end) in enumerate(_walk(states, start, at_start=at_start)):
        if step > MAX_STEPS:
            raise NotPlainError
        if state == end:
            ends_at_end = True
            if not is_behind_end:
                ends = True
        # Behind `$` the text is over, so no character can be read there.
        if state in positions and not is_behind_end:
            counts[positions[state]] = min(2, counts.get(positions[state], 0) + 1)
    return Follow(counts, ends, ends_at_end)


def _walk(states: _States, start: int, *, at_start: bool) -> Iterator[tuple[int, bool]]:
    """The states that empty moves reach, once for each way, and whether `$` is on the way."""
    stack: list[tuple[int, bool, frozenset[int]]] = [(start, False, frozenset())]
    while stack:
        state, is_behind_end, seen = stack.pop()
        yield state, is_behind_end
        # No way passes through the same loop twice: engines do not repeat a part that read no character either.
        if state in states.loops:
            seen = seen | {state}
        for target, anchor in states.moves[state]:
            if target not in seen and (anchor is not False or at_start):
                stack.append((target, is_behind_end or anchor is True, seen))
