"""Finds which of many patterns match an event, in whatever form it comes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from evtool.patterns.field_values import LeafGetters
from evtool.patterns.flatten import flatten_event
from evtool.patterns.pattern import Pattern
from evtool.routes.index import Index
from evtool.routes.projection import MISFITS, Projection


class Router:
    """Many patterns, known by their numbers."""

    def __init__(self, patterns: Sequence[Pattern]):
        self._patterns = patterns
        self._leaf_getters = LeafGetters()

    @cached_property
    def _index(self) -> Index:
        return Index([pattern.certain for pattern in self._patterns])

    @cached_property
    def _open_numbers(self) -> Sequence[int]:
        """The patterns with unknown values."""
        return [number for number, pattern in enumerate(self._patterns) if pattern.unknowns]

    @cached_property
    def _possible_index(self) -> Index:
        """The patterns with unknown values, as they may match."""
        return Index([self._patterns[number].possible for number in self._open_numbers])

    @cached_property
    def _projection(self) -> Projection:
        return Projection({path for pattern in self._patterns for path in pattern.field_paths})

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(path for pattern in self._patterns for path in pattern.paths)

    def match(self, event: Mapping[str, Any] | str | bytes) -> Sequence[int]:
        """The patterns that match an event, in their order. Raises EventError when it is not a JSON object."""
        return self._find(self._index, event)

    def match_checked(self, event: bytes | str) -> Sequence[int]:
        """The same for JSON text that is known to be well-formed and to have no key twice."""
        return self._find_checked(self._index, event)

    def find_undecided(self, event: Mapping[str, Any] | str | bytes) -> Sequence[int]:
        """The patterns whose unknown values decide whether they match an event, in their order. Raises as `match`."""
        if not self._open_numbers:
            return ()
        return self._select_undecided(self._find(self._possible_index, event), self.match(event))

    def find_undecided_checked(self, event: bytes | str) -> Sequence[int]:
        """The same for JSON text that is known to be well-formed and to have no key twice."""
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
        except AttributeError:  # something on the way to a field is no object
            projection.learn(event)
            return index.find_matches(event, projection.getters)
