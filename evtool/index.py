"""Which of many patterns an event may match: they are filed under the values they ask for, so that few are tried.

Every branch of a pattern is filed under that of its fields which it shares with the fewest others. Where many still
come together, they are told apart by their next fields, and so on: a tree, of which a part is built when an event
first gets there. A branch none of whose fields needs a value is met by every event.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.leaves import Leaves
from evtool.pattern import Pattern
from evtool.shelves import BROAD, PRESENT, SHELVES, Key, Shelf, keys_of

FEW = 2  # branches that are tried sooner than told apart
MANY = 100  # a branch that is filed in more places is told apart no further: fields with several values multiply


_Field = Sequence[Sequence[Key]]  # for each condition, of which one must hold, the keys to choose from


class _Entry(NamedTuple):
    """A branch to be filed: its pattern's number, the fields left to file it under, and in how many places it is."""

    pattern: int
    fields: Sequence[_Field]
    places: int = 1


class _Filed(NamedTuple):
    """Branches told apart: the patterns to try in any case, and the shelves, by path, that lead to those of others."""

    tried: set[int]
    shelves: dict[str, list[Shelf["_Node"]]]


class _Node:
    """Where branches come together: a list of them until an event gets there, then what tells them apart."""

    __slots__ = ("content",)

    def __init__(self, entries: list[_Entry]):
        self.content: list[_Entry] | _Filed = entries


def _entries(number: int, pattern: Pattern) -> Iterator[_Entry]:
    known: dict[int, _Field] = {}  # by field: branches share theirs
    for branch in pattern.branches:
        fields = [field for field in branch if not field.absent]
        for field in fields:
            if id(field) not in known:
                known[id(field)] = [keys_of(condition) for condition in field.conditions]
        yield _Entry(number, [known[id(field)] for field in fields])


def _counted(key: Key) -> tuple[Any, ...]:
    """What a key is counted as: one that any value may meet, with all of its shelf."""
    return key[:2] if key.kind in BROAD else key


def _place(entry: _Entry, counts: Mapping[tuple[Any, ...], int], total: int) -> tuple[list[Key], _Entry]:
    """The keys to file a branch under, one for each condition of its rarest field, and what is left of it."""

    def crowd(key: Key) -> int:
        return counts[_counted(key)]

    chosen = [[min(keys, key=crowd) for keys in conditions] for conditions in entry.fields]
    rarest = min(range(len(chosen)), key=lambda number: max(map(crowd, chosen[number])))
    keys, conditions = chosen[rarest], entry.fields[rarest]
    places = entry.places * len(keys)
    left = [*entry.fields[:rarest], *entry.fields[rarest + 1 :]] if places <= MANY else []
    others = [key for key in conditions[0] if key not in keys and key.kind != PRESENT]
    if len(conditions) == 1 and others and crowd(keys[0]) < total:
        left.append([others])  # further parts of a wildcard, unless all have the same
    return keys, _Entry(entry.pattern, left, places)


def _filed(entries: Sequence[_Entry]) -> _Filed:
    few = len(entries) <= FEW
    tried = {entry.pattern for entry in entries if few or not entry.fields}
    others = [entry for entry in entries if entry.pattern not in tried]
    counts = Counter(_counted(key) for e in others for field in e.fields for keys in field for key in keys)
    below: dict[str, dict[int, dict[Any, list[_Entry]]]] = {}
    for entry in others:
        keys, left = _place(entry, counts, len(others))
        for path, kind, value in keys:
            below.setdefault(path, {}).setdefault(kind, {}).setdefault(value, []).append(left)
    return _Filed(tried, {path: [_shelf(*item) for item in kinds.items()] for path, kinds in below.items()})


def _shelf(kind: int, below: Mapping[Any, list[_Entry]]) -> Shelf[_Node]:
    return SHELVES[kind]({value: _Node(entries) for value, entries in below.items()})


def _met(shelves: Mapping[str, Sequence[Shelf[_Node]]], leaves: Leaves) -> Iterator[_Node]:
    for path in shelves if len(shelves) < len(leaves) else leaves:
        for shelf in shelves.get(path, ()):
            for value, _ in leaves.get(path, ()):
                yield from shelf(value)


class Index:
    """Patterns, filed. Which of them match is for `Pattern.holds` to say."""

    def __init__(self, patterns: Sequence[Pattern]):
        self._root = _Node([entry for number, pattern in enumerate(patterns) for entry in _entries(number, pattern)])

    def candidates(self, leaves: Leaves) -> list[int]:
        """The numbers of the patterns that an event may match, whose leaves were read for all of them."""
        found: set[int] = set()
        nodes, seen = [self._root], {self._root}
        for node in nodes:  # which grows on the way
            content = node.content
            if isinstance(content, list):
                content = node.content = _filed(content)
            found |= content.tried
            if content.shelves:
                new = {*_met(content.shelves, leaves)} - seen
                nodes += new
                seen |= new
        return sorted(found)
