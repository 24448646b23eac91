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
        return Index(self._patterns)

    @cached_property
    def _projection(self) -> Projection:
        return Projection({path for pattern in self._patterns for path in pattern.field_paths})

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(path for pattern in self._patterns for path in pattern.paths)

    def match(self, event: Mapping[str, Any] | str | bytes) -> Sequence[int]:
        """The patterns that match an event, in their order. Raises EventError when it is not a JSON object."""
        if isinstance(event, dict):
            with suppress(*MISFITS):
                return self._match_projected(self._projection.project_document(event))
        return self._index.find_matches(flatten_event(event, self._paths), self._leaf_getters)

    def match_checked(self, event: bytes | str) -> Sequence[int]:
        """The same for JSON text that is known to be well-formed and to have no key twice."""
        try:
            return self._match_projected(self._projection.project_text(event))
        except MISFITS:
            return self.match(event)

    def _match_projected(self, event: Any) -> Sequence[int]:
        projection = self._projection
        try:
            return self._index.find_matches(event, projection.getters)
        except AttributeError:  # something on the way to a field is no object
            projection.learn(event)
            return self._index.find_matches(event, projection.getters)
