"""Index over many patterns: a decision tree by field values, so that few patterns are tested for each event.

Every branch of a pattern is filed under the field that it shares with the fewest other branches. Branches that are
filed together are split by their next field, and so on. A node of the tree is split when an event first reaches it.
Example with four patterns:

    0: source shop, detail-type order.created       1: source shop, detail-type order.paid
    2: source shop, detail-type order.created,      3: source [prefix partner.]
       detail.total above 100

    root, by detail-type   order.created -> node A (0, 2)      order.paid -> 1
          by source        prefix partner. -> 3
    node A, by detail.total  above 100 -> 2;  0 has no other field and is a candidate

An event is looked up at the root by its detail-type and its source, then in each node that it reaches. The patterns
that it ends at are candidates, and the pattern itself decides whether it matches. If the last field decides alone, its
test is made once for each string, and the result is kept.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from evtool.patterns.field_values import MISSING, ArrayValues, Getters, normalize_value
from evtool.patterns.json_values import Scalar
from evtool.patterns.matcher import BranchSet
from evtool.patterns.operators.arguments import Test
from evtool.routes.lookups import BROAD, EXACT, LOOKUPS, PRESENT, Key, Lookup, keys_of

# A node with this many branches is not split.
MAX_UNSPLIT = 1
# The same for branches that the value at hand decides.
MAX_DECIDED = 10
# A branch that is filed in more places is not split further, since fields with several values multiply the places.
MAX_PLACES = 100
# Strings whose targets a path lookup keeps.
MAX_CACHED_STRINGS = 1_000
# Characters of a string that is kept.
MAX_CACHED_LENGTH = 200

# For each condition of a field the keys that it can be filed under. One of the conditions must hold.
_FieldKeys = Sequence[Sequence[Key]]


class _FiledBranch(NamedTuple):
    """A branch to file: the number of its pattern, the remaining fields, and the number of places where it is filed.

    A branch of only one field has the test of this field.
    """

    pattern: int
    fields: Sequence[_FieldKeys]
    test: Test | None
    places: int = 1


# The targets of a value: the patterns that match whatever the other fields are, and the nodes to continue at.
_Targets = tuple[Sequence[int], Sequence["_Node"]]
NO_TARGETS: _Targets = ((), ())


class _PathLookup(NamedTuple):
    """The lookups for the value at a path.

    `cache` has the targets of strings. `default` applies to all other strings: no targets, or None to look them up.
    """

    path: str
    cache: dict[str, _Targets]
    default: _Targets | None
    lookups: Sequence[Lookup["_Node"]]

    def find_targets(self, value: Scalar) -> _Targets:
        """Returns the targets of a value."""
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
        """Returns the targets of a value that is not a string: of another scalar, or of several values."""
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
        """Returns the targets of a string that is not in the cache, and adds it."""
        targets = self.find_targets(text)
        if len(text) <= MAX_CACHED_LENGTH:
            if len(self.cache) >= MAX_CACHED_STRINGS:
                self.cache.clear()
            self.cache[text] = targets
        return targets


class _Node:
    """A node of the tree: a list of branches until an event first reaches it, then the lookups that split them.

    `decided` has the patterns that the value leading here decides. `candidates` are tested for every event that comes.
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
    # By identity of the field, since the branches of a pattern share their fields.
    keys_by_field: dict[int, _FieldKeys] = {}
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
    """Returns the value by which keys are counted. Keys that any value may reach count together."""
    if key.kind in BROAD:
        return key[:2]
    return key


def _choose_keys(
    entry: _FiledBranch, counts: Mapping[tuple[Any, ...], int], total: int
) -> tuple[list[Key], _FiledBranch]:
    """Returns the keys to file a branch under, one for each condition of its rarest field, and the remaining branch."""

    def measure_crowd(key: Key) -> tuple[int, bool]:
        # Among equally rare keys, strings are the fastest to look up.
        return counts[_count_key(key)], type(key.value) is not str

    keys: list[Key] = []
    rarest, rarest_crowd = 0, (total + 1, False)
    for number, conditions in enumerate(entry.fields):
        field_keys = [min(condition_keys, key=measure_crowd) for condition_keys in conditions]
        crowd = max(map(measure_crowd, field_keys))
        if not keys or crowd < rarest_crowd:
            keys, rarest, rarest_crowd = field_keys, number, crowd
    place_count = entry.places * len(keys)
    remaining: list[_FieldKeys] = []
    if place_count <= MAX_PLACES:
        remaining += entry.fields[:rarest]
        remaining += entry.fields[rarest + 1 :]
    # A wildcard has several keys. The others can still split a node, unless all its branches share them.
    conditions = entry.fields[rarest]
    other_keys = [key for key in conditions[0] if key not in keys and key.kind != PRESENT]
    if len(conditions) == 1 and other_keys and measure_crowd(keys[0])[0] < total:
        remaining.append([other_keys])
    return keys, entry._replace(fields=remaining, places=place_count)


def _split_node(node: _Node) -> Sequence[_PathLookup]:
    """Builds the lookups that split the branches of a node."""
    entries, node.entries = node.entries, []
    is_small = len(entries) <= MAX_UNSPLIT and not any(entry.test for entry in entries)
    candidates = {entry.pattern for entry in entries if is_small or not entry.fields}
    remaining = [entry for entry in entries if entry.pattern not in candidates]
    counts = _count_keys(remaining)
    entries_by_path: dict[str, dict[int, dict[Any, list[_FiledBranch]]]] = {}
    for entry in remaining:
        keys, filed_entry = _choose_keys(entry, counts, len(remaining))
        for path, kind, value in keys:
            entries_by_path.setdefault(path, {}).setdefault(kind, {}).setdefault(value, []).append(filed_entry)
    node.candidates = sorted(candidates)
    node.path_lookups = [_build_path_lookup(path, kinds) for path, kinds in entries_by_path.items()]
    return node.path_lookups


def _count_keys(entries: Sequence[_FiledBranch]) -> Counter[tuple[Any, ...]]:
    counts: Counter[tuple[Any, ...]] = Counter()
    for entry in entries:
        for conditions in entry.fields:
            counts.update(map(_count_key, chain.from_iterable(conditions)))
    return counts


def _build_path_lookup(path: str, kinds: Mapping[int, Mapping[Any, Sequence[_FiledBranch]]]) -> _PathLookup:
    lookups = []
    for kind, entries_by_value in kinds.items():
        nodes = {value: _Node(entries) for value, entries in entries_by_value.items()}
        lookups.append(LOOKUPS[kind](nodes))
    path_lookup = _PathLookup(path, {}, None, lookups)
    if kinds.keys() != {EXACT}:
        return path_lookup
    # With exact values only, all strings with targets are known now.
    for text in kinds[EXACT]:
        if type(text) is str:
            path_lookup.cache[text] = path_lookup.find_targets(text)
    return path_lookup._replace(default=NO_TARGETS)


class Index:
    """The decision tree over patterns, each as a set of branches: the certain ones or the possible ones."""

    def __init__(self, patterns: Sequence[BranchSet]):
        entries: list[_FiledBranch] = []
        for number, pattern in enumerate(patterns):
            entries += _build_entries(number, pattern)
        self._root = _Node(entries, has_value=False)
        self.matchers = [pattern.matcher for pattern in patterns]

    def find_matches(self, event: Any, getters: Getters) -> Sequence[int]:
        """Returns the numbers of the patterns that match an event. The getters read the fields of its form."""
        matching: list[int] = []
        candidates: list[int] = []
        nodes = [self._root]
        # The loop appends the nodes that the event reaches.
        for node in nodes:
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
