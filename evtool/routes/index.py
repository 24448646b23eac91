"""Which of many patterns match an event: they are filed under the values they ask for, so that few are tried.

Every branch of a pattern is filed under that of its fields which it shares with the fewest others. Where many still
come together, they are told apart by their next fields, and so on: a tree, of which a part is built when an event
first gets there. A branch none of whose fields needs a value is met by every event. The pattern itself decides in the
end; where it asks for one field only it decides once for a text, and the answer is remembered.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.patterns.field_values import MISSING, Getters, Several, settled
from evtool.patterns.json_values import Scalar
from evtool.patterns.operators.arguments import Test
from evtool.patterns.pattern import Pattern
from evtool.routes.lookups import BROAD, EXACT, PRESENT, SHELVES, Key, Shelf, keys_of

FEW = 1  # branches that are tried sooner than told apart
SMALL = 10  # branches that are tried sooner than told apart, when the value at hand decides
MANY = 100  # a branch that is filed in more places is told apart no further: fields with several values multiply
REMEMBERED = 1_000  # texts at one place of the tree
SHORT = 200  # characters of a text that is remembered

_Field = Sequence[Sequence[Key]]  # for each condition, of which one must hold, the keys to choose from


class _Entry(NamedTuple):
    """A branch to be filed: its pattern's number, the fields left to file it under, and in how many places it is.

    A branch of one field holds where `test` does.
    """

    pattern: int
    fields: Sequence[_Field]
    test: Test | None
    places: int = 1


# where a value leads: the patterns that match whatever else is there, and the nodes to look on at
_Below = tuple[Sequence[int], Sequence["_Node"]]
NOWHERE: _Below = ((), ())


class _Look(NamedTuple):
    """Where to look for the value at a path.

    `known` is where texts lead, `unknown` what is for others: nowhere, or None, when it is to be found out.
    """

    path: str
    known: dict[str, _Below]
    unknown: _Below | None
    shelves: Sequence[Shelf["_Node"]]

    def below(self, value: Scalar) -> _Below:
        """Where a value leads."""
        matching, nodes = [], []
        for shelf in self.shelves:
            for node in shelf(value):
                for number, test in node.decided:
                    if test(value):
                        matching.append(number)
                if node.leads_on:
                    nodes.append(node)
        return matching, nodes

    def settled(self, value: Any) -> _Below:
        """Where a value leads that is no plain text: another scalar, or several."""
        if value.__class__ is not Several:
            value = settled(value)
        if value.__class__ is not Several:
            return NOWHERE if value is MISSING else self.below(value)
        if len(value.values) == 1 and value.values[0].__class__ is str:
            text = value.values[0]
            return self.known.get(text, self.unknown) or self.remembered(text)
        matching: set[int] = set()
        nodes: set[_Node] = set()
        for each in value.values:
            if each.__class__ is str:
                found = self.known.get(each, self.unknown) or self.remembered(each)
            else:
                found = self.below(each)
            matching.update(found[0])
            nodes.update(found[1])
        return list(matching), list(nodes)

    def remembered(self, text: str) -> _Below:
        """The same for a text that is not known yet."""
        below = self.below(text)
        if len(text) <= SHORT:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[text] = below
        return below


class _Node:
    """Where branches come together: a list of them until an event gets there, then what tells them apart.

    `decided` are the patterns for which the value that leads here decides, `tried` those to try in any case.
    """

    __slots__ = ("decided", "entries", "leads_on", "looks", "tried")

    def __init__(self, entries: Sequence[_Entry], *, led_here: bool = True):
        at_once = len(entries) <= SMALL
        self.decided: list[tuple[int, Test]] = []
        self.entries: list[_Entry] = []
        for entry in entries:
            if led_here and entry.test and (at_once or not entry.fields):
                self.decided.append((entry.pattern, entry.test))
            else:
                self.entries.append(entry)
        self.leads_on = bool(self.entries)
        self.tried: Sequence[int] = ()
        self.looks: Sequence[_Look] | None = None


# --- filing ----------------------------------------------------------------------------------------------------------


def _entries(number: int, pattern: Pattern) -> Iterator[_Entry]:
    known: dict[int, _Field] = {}  # by field: branches share theirs
    for branch in pattern.branches:
        fields = [field for field in branch if not field.absent]
        for field in fields:
            if id(field) not in known:
                known[id(field)] = [keys_of(condition) for condition in field.conditions]
        test = fields[0].test if len(branch) == len(fields) == 1 else None
        yield _Entry(number, [known[id(field)] for field in fields], test)


def _counted(key: Key) -> tuple[Any, ...]:
    """What a key is counted as: one that any value may meet, with all of its shelf."""
    return key[:2] if key.kind in BROAD else key


def _place(entry: _Entry, counts: Mapping[tuple[Any, ...], int], total: int) -> tuple[list[Key], _Entry]:
    """The keys to file a branch under, one for each condition of its rarest field, and what is left of it."""

    def crowd(key: Key) -> tuple[int, bool]:
        return counts[_counted(key)], type(key.value) is not str  # texts are looked up the fastest

    chosen = [[min(keys, key=crowd) for keys in conditions] for conditions in entry.fields]
    rarest = min(range(len(chosen)), key=lambda number: max(map(crowd, chosen[number])))
    keys, conditions = chosen[rarest], entry.fields[rarest]
    places = entry.places * len(keys)
    left = [*entry.fields[:rarest], *entry.fields[rarest + 1 :]] if places <= MANY else []
    others = [key for key in conditions[0] if key not in keys and key.kind != PRESENT]
    if len(conditions) == 1 and others and crowd(keys[0])[0] < total:
        left.append([others])  # further parts of a wildcard, unless all have the same
    return keys, entry._replace(fields=left, places=places)


def _looks(node: _Node) -> Sequence[_Look]:
    """What tells the branches of a node apart, found out when an event first gets there."""
    entries, node.entries = node.entries, []
    few = len(entries) <= FEW and not any(entry.test for entry in entries)
    tried = {entry.pattern for entry in entries if few or not entry.fields}
    others = [entry for entry in entries if entry.pattern not in tried]
    counts = Counter(_counted(key) for e in others for field in e.fields for keys in field for key in keys)
    below: dict[str, dict[int, dict[Any, list[_Entry]]]] = {}
    for entry in others:
        keys, left = _place(entry, counts, len(others))
        for path, kind, value in keys:
            below.setdefault(path, {}).setdefault(kind, {}).setdefault(value, []).append(left)
    node.tried = sorted(tried)
    node.looks = [_look(path, kinds) for path, kinds in below.items()]
    return node.looks


def _look(path: str, kinds: Mapping[int, Mapping[Any, Sequence[_Entry]]]) -> _Look:
    nodes = {kind: {value: _Node(entries) for value, entries in below.items()} for kind, below in kinds.items()}
    look = _Look(path, {}, None, [SHELVES[kind](filed) for kind, filed in nodes.items()])
    if nodes.keys() != {EXACT}:
        return look
    look.known.update({text: look.below(text) for text in nodes[EXACT] if type(text) is str})
    return look._replace(unknown=NOWHERE)


class Index:
    """Patterns, filed."""

    def __init__(self, patterns: Sequence[Pattern]):
        entries = [entry for number, pattern in enumerate(patterns) for entry in _entries(number, pattern)]
        self._root = _Node(entries, led_here=False)
        self.takes = [pattern.takes for pattern in patterns]

    def matching(self, event: Any, getters: Getters) -> Sequence[int]:
        """The numbers of the patterns that match an event, in whatever form the getters read it."""
        matching: list[int] = []
        tried: list[int] = []
        nodes = [self._root]
        for node in nodes:  # which grows on the way
            looks = node.looks
            if looks is None:
                looks = _looks(node)
            for look in looks:
                path, known, unknown, _ = look
                value = getters[path](event)
                if value.__class__ is str:
                    below = known.get(value, unknown) or look.remembered(value)
                elif value is MISSING:
                    continue
                else:
                    below = look.settled(value)
                if below is not NOWHERE:
                    matching += below[0]
                    nodes += below[1]
            if node.tried:
                tried += node.tried
        if tried:
            takes = self.takes
            matching += [number for number in tried if takes[number](event, getters)]
        return sorted(set(matching)) if len(matching) > 1 else matching
