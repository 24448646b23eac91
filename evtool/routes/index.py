"""Index over many patterns: a decision tree by field values, so that few patterns are tested for an event.

Every branch of a pattern is filed under that of its fields which it shares with the fewest others. Where many still
come together, they are told apart by their next fields, and so on: a tree, of which a part is built when an event
first gets there. A branch none of whose fields needs a value is met by every event. The pattern itself decides in the
end; where it asks for one field only it decides once for a text, and the answer is remembered.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.patterns.field_values import MISSING, ArrayValues, Getters, normalize_value
from evtool.patterns.json_values import Scalar
from evtool.patterns.matcher import BranchSet
from evtool.patterns.operators.arguments import Test
from evtool.routes.lookups import BROAD, EXACT, LOOKUPS, PRESENT, Key, Lookup, keys_of

MAX_UNSPLIT = 1  # branches that are tried sooner than told apart
MAX_DECIDED = 10  # branches that are tried sooner than told apart, when the value at hand decides
MAX_PLACES = 100  # a branch that is filed in more places is told apart no further: fields with several values multiply
MAX_CACHED_STRINGS = 1_000  # texts at one place of the tree
MAX_CACHED_LENGTH = 200  # characters of a text that is remembered

_FieldKeys = Sequence[Sequence[Key]]  # for each condition, of which one must hold, the keys to choose from


class _FiledBranch(NamedTuple):
    """A branch to be filed: its pattern's number, the fields left to file it under, and in how many places it is.

    A branch of one field holds where `test` does.
    """

    pattern: int
    fields: Sequence[_FieldKeys]
    test: Test | None
    places: int = 1


# where a value leads: the patterns that match whatever else is there, and the nodes to look on at
_Targets = tuple[Sequence[int], Sequence["_Node"]]
NO_TARGETS: _Targets = ((), ())


class _PathLookup(NamedTuple):
    """Where to look for the value at a path.

    `cache` has the targets of strings. `default` is for other strings: no targets, or None to look them up.
    """

    path: str
    cache: dict[str, _Targets]
    default: _Targets | None
    lookups: Sequence[Lookup["_Node"]]

    def find_targets(self, value: Scalar) -> _Targets:
        """Where a value leads."""
        matching, nodes = [], []
        for lookup in self.lookups:
            for node in lookup(value):
                for number, test in node.decided:
                    if test(value):
                        matching.append(number)
                if node.has_branches:
                    nodes.append(node)
        return matching, nodes

    def find_targets_of_raw_value(self, value: Any) -> _Targets:
        """Where a value leads that is no plain text: another scalar, or several."""
        if value.__class__ is not ArrayValues:
            value = normalize_value(value)
        if value.__class__ is not ArrayValues:
            if value is MISSING:
                return NO_TARGETS
            return self.find_targets(value)
        if len(value.values) == 1 and value.values[0].__class__ is str:
            text = value.values[0]
            return self.cache.get(text, self.default) or self.find_and_cache(text)
        matching: set[int] = set()
        nodes: set[_Node] = set()
        for item in value.values:
            if item.__class__ is str:
                targets = self.cache.get(item, self.default) or self.find_and_cache(item)
            else:
                targets = self.find_targets(item)
            matching.update(targets[0])
            nodes.update(targets[1])
        return list(matching), list(nodes)

    def find_and_cache(self, text: str) -> _Targets:
        """The same for a text that is not known yet."""
        targets = self.find_targets(text)
        if len(text) <= MAX_CACHED_LENGTH:
            if len(self.cache) >= MAX_CACHED_STRINGS:
                self.cache.clear()
            self.cache[text] = targets
        return targets


class _Node:
    """Where branches come together: a list of them until an event gets there, then what tells them apart.

    `decided` are the patterns for which the value that leads here decides, `candidates` those to try in any case.
    """

    __slots__ = ("candidates", "decided", "entries", "has_branches", "path_lookups")

    def __init__(self, entries: Sequence[_FiledBranch], *, has_value: bool = True):
        is_small = len(entries) <= MAX_DECIDED
        self.decided: list[tuple[int, Test]] = []
        self.entries: list[_FiledBranch] = []
        for entry in entries:
            if has_value and entry.test and (is_small or not entry.fields):
                self.decided.append((entry.pattern, entry.test))
            else:
                self.entries.append(entry)
        self.has_branches = bool(self.entries)
        self.candidates: Sequence[int] = ()
        self.path_lookups: Sequence[_PathLookup] | None = None


# --- filing ----------------------------------------------------------------------------------------------------------


def _build_entries(number: int, pattern: BranchSet) -> Iterator[_FiledBranch]:
    keys_by_field: dict[int, _FieldKeys] = {}  # by field: branches share theirs
    for branch in pattern.branches:
        fields = [field for field in branch if not field.can_be_absent]
        for field in fields:
            if id(field) not in keys_by_field:
                keys_by_field[id(field)] = [keys_of(condition) for condition in field.known_conditions]
        test = None
        if len(branch) == len(fields) == 1:
            test = fields[0].test
        yield _FiledBranch(number, [keys_by_field[id(field)] for field in fields], test)


def _count_key(key: Key) -> tuple[Any, ...]:
    """What a key is counted as: one that any value may meet, with all of its lookup table."""
    if key.kind in BROAD:
        return key[:2]
    return key


def _choose_keys(
    entry: _FiledBranch, counts: Mapping[tuple[Any, ...], int], total: int
) -> tuple[list[Key], _FiledBranch]:
    """The keys to file a branch under, one for each condition of its rarest field, and what is left of it."""

    def measure_crowd(key: Key) -> tuple[int, bool]:
        return counts[_count_key(key)], type(key.value) is not str  # texts are looked up the fastest

    chosen = [[min(keys, key=measure_crowd) for keys in conditions] for conditions in entry.fields]
    rarest = min(range(len(chosen)), key=lambda number: max(map(measure_crowd, chosen[number])))
    keys, conditions = chosen[rarest], entry.fields[rarest]
    place_count = entry.places * len(keys)
    if place_count <= MAX_PLACES:
        remaining = [*entry.fields[:rarest], *entry.fields[rarest + 1 :]]
    else:
        remaining = []
    other_keys = [key for key in conditions[0] if key not in keys and key.kind != PRESENT]
    if len(conditions) == 1 and other_keys and measure_crowd(keys[0])[0] < total:
        remaining.append([other_keys])  # further parts of a wildcard, unless all have the same
    return keys, entry._replace(fields=remaining, places=place_count)


def _split_node(node: _Node) -> Sequence[_PathLookup]:
    """What tells the branches of a node apart, found out when an event first gets there."""
    entries, node.entries = node.entries, []
    is_small = len(entries) <= MAX_UNSPLIT and not any(entry.test for entry in entries)
    candidates = {entry.pattern for entry in entries if is_small or not entry.fields}
    remaining = [entry for entry in entries if entry.pattern not in candidates]
    counts = Counter(_count_key(key) for entry in remaining for field in entry.fields for keys in field for key in keys)
    entries_by_path: dict[str, dict[int, dict[Any, list[_FiledBranch]]]] = {}
    for entry in remaining:
        keys, filed_entry = _choose_keys(entry, counts, len(remaining))
        for path, kind, value in keys:
            entries_by_path.setdefault(path, {}).setdefault(kind, {}).setdefault(value, []).append(filed_entry)
    node.candidates = sorted(candidates)
    node.path_lookups = [_build_path_lookup(path, kinds) for path, kinds in entries_by_path.items()]
    return node.path_lookups


def _build_path_lookup(path: str, kinds: Mapping[int, Mapping[Any, Sequence[_FiledBranch]]]) -> _PathLookup:
    nodes = {
        kind: {value: _Node(entries) for value, entries in entries_by_value.items()}
        for kind, entries_by_value in kinds.items()
    }
    path_lookup = _PathLookup(path, {}, None, [LOOKUPS[kind](nodes_by_value) for kind, nodes_by_value in nodes.items()])
    if nodes.keys() != {EXACT}:
        return path_lookup
    path_lookup.cache.update({text: path_lookup.find_targets(text) for text in nodes[EXACT] if type(text) is str})
    return path_lookup._replace(default=NO_TARGETS)


class Index:
    """Patterns, filed by their certain branches, or by their possible ones."""

    def __init__(self, patterns: Sequence[BranchSet]):
        entries = [entry for number, pattern in enumerate(patterns) for entry in _build_entries(number, pattern)]
        self._root = _Node(entries, has_value=False)
        self.matchers = [pattern.matcher for pattern in patterns]

    def find_matches(self, event: Any, getters: Getters) -> Sequence[int]:
        """The numbers of the patterns that match an event, in whatever form the getters read it."""
        matching: list[int] = []
        candidates: list[int] = []
        nodes = [self._root]
        for node in nodes:  # which grows on the way
            path_lookups = node.path_lookups
            if path_lookups is None:
                path_lookups = _split_node(node)
            for path_lookup in path_lookups:
                path, cache, default, _ = path_lookup
                value = getters[path](event)
                if value.__class__ is str:
                    targets = cache.get(value, default) or path_lookup.find_and_cache(value)
                elif value is MISSING:
                    continue
                else:
                    targets = path_lookup.find_targets_of_raw_value(value)
                if targets is not NO_TARGETS:
                    matching += targets[0]
                    nodes += targets[1]
            if node.candidates:
                candidates += node.candidates
        if candidates:
            matchers = self.matchers
            matching += [number for number in candidates if matchers[number](event, getters)]
        if len(matching) > 1:
            return sorted(set(matching))
        return matching
