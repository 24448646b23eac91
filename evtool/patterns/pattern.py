"""Event patterns: the language in which routes select events, with the same meaning as on AWS.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
A pattern is compiled into branches, one for each combination of its `$or`s. An event matches if all fields of a branch
hold, in one element of each array. A field holds if one of its conditions holds for one of its values.

A pattern with unknown values has two sets of branches. In the certain branches, an unknown condition never holds. In
the possible branches, it always holds:

    pattern     {"source": ["shop.cart", !Ref Sender]}
    certain     source is "shop.cart"
    possible    no condition
    event       {"source": "shop.cart"} matches; {"source": "shop"} is undecided: only a possible branch matches it
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from evtool.patterns.compiler import compile_pattern
from evtool.patterns.conditions import Branch, Field, find_possible_branch
from evtool.patterns.field_values import LeafGetters
from evtool.patterns.flatten import Leaves, flatten_event
from evtool.patterns.matcher import build_branch_set
from evtool.patterns.unknown import Unknown


def _java_order(field: Field) -> bytes:
    # AWS takes the fields in the order in which Java sorts their paths, which is that of UTF-16 code units. The order
    # decides which array elements an absent field is looked for in.
    return field.path.encode("utf-16-be", errors="surrogatepass")


def _list_unknowns(branches: Iterable[Branch]) -> tuple[Unknown, ...]:
    # A dict keeps the order of the pattern and has each unknown value once.
    unknowns: dict[Unknown, None] = {}
    for field in chain.from_iterable(branches):
        if field.unknown:
            unknowns[field.unknown] = None
    return tuple(unknowns)


def _list_paths(branches: Iterable[Branch]) -> frozenset[str]:
    return frozenset(field.path for field in chain.from_iterable(branches))


def _list_parents(paths: Iterable[str]) -> set[str]:
    """Returns the paths of the objects that contain the fields: of `detail.a.b` these are `detail` and `detail.a`."""
    parents = set()
    for path in paths:
        # Step by step at the dots: a name may be empty, as in `detail..a`.
        end = path.find(".")
        while end >= 0:
            parents.add(path[:end])
            end = path.find(".", end + 1)
    return parents


class Pattern:
    """A compiled event pattern, which can be matched against events.

    The source is a dict or JSON text. Only text keeps the forms of numbers and duplicate keys; only a dict may have
    unknown values. Raises PatternError with all problems of the pattern.

    `warnings` are problems that do not prevent its use. `branches` are all conditions of the pattern as data.
    `certain` and `possible` are the branches for matching; without `unknowns`, they are the same object.
    `field_paths` are the paths of the fields in these branches. `paths` also has the objects that contain the fields:
    `flatten_event` needs nothing else of an event.
    """

    def __init__(self, source: Mapping[str, Any] | str | bytes | Unknown):
        branches, self.warnings = compile_pattern(source)
        self.branches: tuple[Branch, ...] = tuple(tuple(sorted(branch, key=_java_order)) for branch in branches)
        self.unknowns = _list_unknowns(self.branches)
        certain_branches = self.branches
        if self.unknowns:
            certain_branches = tuple(
                branch for branch in self.branches if all(field.known_conditions for field in branch)
            )
        self.certain = self.possible = build_branch_set(certain_branches)
        if self.unknowns:
            self.possible = build_branch_set([find_possible_branch(branch) for branch in self.branches])
        self.field_paths = _list_paths(self.certain.branches) | _list_paths(self.possible.branches)
        self.paths = self.field_paths | _list_parents(self.field_paths)
        self._leaf_getters = LeafGetters()

    def matches(self, event: Mapping[str, Any] | str | bytes) -> bool | None:
        """Returns whether an event matches, or None if unknown values decide.

        Raises EventError if the event is not a JSON object.
        """
        return self.matches_leaves(flatten_event(event, self.paths))

    def matches_leaves(self, leaves: Leaves) -> bool | None:
        """Returns whether an event, given as its leaves, matches, or None if unknown values decide."""
        if self.certain.matcher(leaves, self._leaf_getters):
            return True
        if self.unknowns and self.possible.matcher(leaves, self._leaf_getters):
            return None
        return False
