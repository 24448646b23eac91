"""Finds which of many patterns match an event, given as JSON text or as a dict."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from typing import Any

from evtool.patterns.conditions import Branch
from evtool.patterns.field_values import LeafGetters
from evtool.patterns.flatten import flatten_event
from evtool.patterns.matcher import BranchSet
from evtool.patterns.pattern import Pattern
from evtool.routes.index import Index
from evtool.routes.projection import MISFITS, Projection

# With more patterns than this, testing all of them for each new type and source would take too long.
MAX_PATTERNS = 1000
# Pairs of type and source whose result is kept.
MAX_KEYS = 500

# The payload key, the type and the source of an event.
Key = tuple[str, str, str]


class EnvelopeMatcher:
    """Finds the patterns that match an event by its type and source alone, if no other field matters.

    Many patterns have only a type and a source, and a stream has few types. So each pair is matched once.

        pattern 0: source shop, detail-type order.created     an order.created of the shop: [0]
        pattern 1: source shop, detail-type order.paid,       an order.paid of the shop: None, other fields decide
                   detail.total above 100
    """

    def __init__(self, patterns: Sequence[BranchSet]):
        self._patterns = patterns
        self._known: dict[Key, Sequence[int] | None] = {}
        self._limit = MAX_KEYS
        if len(patterns) > MAX_PATTERNS:
            self._limit = 0

    def find_matches(self, key: Key) -> Sequence[int] | None:
        """Returns the patterns that match every event with a key, in order; None if other fields decide."""
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= self._limit:
                return None
        matching = self._known[key] = self._decide(key)
        return matching

    def _decide(self, key: Key) -> Sequence[int] | None:
        payload_key, event_type, source = key
        type_path = "type"
        if payload_key == "detail":
            type_path = "detail-type"
        values = {type_path: event_type, "source": source}
        matching = []
        for number, pattern in enumerate(self._patterns):
            answers = [_decide_branch(branch, values) for branch in pattern.branches]
            if True in answers:
                matching.append(number)
            elif None in answers:
                return None
        return matching


def _decide_branch(branch: Branch, values: Mapping[str, str]) -> bool | None:
    """Whether a branch matches all events with these values (True), none of them (False), or some (None)."""
    known_fields = [field for field in branch if field.path in values]
    if not all(field.test(values[field.path]) for field in known_fields):
        return False
    if len(known_fields) == len(branch):
        return True
    return None


class Router:
    """Finds the matching ones of many patterns, by number. Its parts are built when they are first needed."""

    def __init__(self, patterns: Sequence[Pattern]):
        self._patterns = patterns
        self._leaf_getters = LeafGetters()

    @cached_property
    def _index(self) -> Index:
        return Index([pattern.certain for pattern in self._patterns])

    @cached_property
    def _envelope_matcher(self) -> EnvelopeMatcher:
        return EnvelopeMatcher([pattern.certain for pattern in self._patterns])

    @cached_property
    def _open_numbers(self) -> Sequence[int]:
        """The patterns with unknown values."""
        return [number for number, pattern in enumerate(self._patterns) if pattern.unknowns]

    @cached_property
    def _possible_index(self) -> Index:
        """The patterns with unknown values, with each unknown value matching everything."""
        return Index([self._patterns[number].possible for number in self._open_numbers])

    @cached_property
    def _projection(self) -> Projection:
        return Projection(set(chain.from_iterable(pattern.field_paths for pattern in self._patterns)))

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(chain.from_iterable(pattern.paths for pattern in self._patterns))

    def match(self, event: Mapping[str, Any] | str | bytes) -> Sequence[int]:
        """Returns the patterns that match an event, in order. Raises EventError if it is not a JSON object."""
        return self._find(self._index, event)

    def match_checked(self, event: bytes | str) -> Sequence[int]:
        """Does the same as `match`, faster, for JSON text that is known to be valid and without duplicate keys."""
        return self._find_checked(self._index, event)

    def match_key(self, key: Key) -> Sequence[int] | None:
        """Returns the patterns that match every event with this type and source; None if other fields decide."""
        return self._envelope_matcher.find_matches(key)

    def match_keyed(self, key: Key, raw: bytes) -> Sequence[int]:
        """Does the same as `match_checked` for an event whose type and source are known. Often they decide."""
        matching = self.match_key(key)
        if matching is None:
            return self._find_checked(self._index, raw)
        return matching

    def find_undecided(self, event: Mapping[str, Any] | str | bytes) -> Sequence[int]:
        """Returns the patterns that match an event only for some of their unknown values. Raises as `match` does."""
        if not self._open_numbers:
            return ()
        return self._select_undecided(self._find(self._possible_index, event), self.match(event))

    def find_undecided_checked(self, event: bytes | str) -> Sequence[int]:
        """Does the same as `find_undecided`, faster, for JSON text that is known to be valid."""
        if not self._open_numbers:
            return ()
        return self._select_undecided(self._find_checked(self._possible_index, event), self.match_checked(event))

    def _select_undecided(self, possible: Sequence[int], matching: Sequence[int]) -> Sequence[int]:
        return [number for number in map(self._open_numbers.__getitem__, possible) if number not in matching]

    def _find(self, index: Index, event: Mapping[str, Any] | str | bytes) -> Sequence[int]:
        if isinstance(event, dict):
            with suppress(*MISFITS):
                return self._find_projected(index, self._projection.project_document(event))
        return index.find_matches(flatten_event(event, self._paths), self._leaf_getters)

    def _find_checked(self, index: Index, event: bytes | str) -> Sequence[int]:
        try:
            return self._find_projected(index, self._projection.project_text(event))
        except MISFITS:
            return self._find(index, event)

    def _find_projected(self, index: Index, event: Any) -> Sequence[int]:
        projection = self._projection
        try:
            return index.find_matches(event, projection.getters)
        except AttributeError:
            # A value on the path to a field is an array. From now on the getters of this path read arrays.
            projection.learn(event)
            return index.find_matches(event, projection.getters)
