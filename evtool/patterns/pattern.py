"""Event patterns: the language in which routes select events, with the same meaning as on AWS.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
A pattern is compiled into branches, one for each combination of its `$or`s. An event matches when all fields of a
branch hold, in one element of each array; a field holds when one of its conditions holds for one of its values.

Where a pattern has unknown values there are two sets of branches: by the certain ones an unknown condition never holds,
by the possible ones always. An event that only the possible ones match is undecided.
"""

from collections.abc import Mapping
from typing import Any

from evtool.patterns.compiler import compile_pattern
from evtool.patterns.conditions import Branch, Field, find_possible_branch
from evtool.patterns.field_values import LeafGetters
from evtool.patterns.flatten import Leaves, flatten_event
from evtool.patterns.matcher import build_branch_set
from evtool.patterns.unknown import Unknown

# --- compiling ------------------------------------------------------------------------------------------------------


def _encode_path(field: Field) -> bytes:
    return field.path.encode("utf-16-be", errors="surrogatepass")  # AWS sorts the paths as Java sorts strings


class Pattern:
    """An event pattern, ready to be tried on events.

    The source is a dict or JSON text; only text keeps the forms of numbers and duplicate keys, and only a dict may
    have unknown values. Raises PatternError, which says everything that is wrong; `warnings` are the problems of a
    pattern that can be used. `branches` is the pattern as data, with all conditions that it has. An event matches by
    the `certain` branches, and may match by the `possible` ones; they are the same object unless there are `unknowns`.
    `field_paths` are the paths that decide, and `paths` these and the objects above them, which is all that
    `flatten_event` needs to read.
    """

    def __init__(self, source: Mapping[str, Any] | str | bytes | Unknown):
        branches, self.warnings = compile_pattern(source)
        self.branches: tuple[Branch, ...] = tuple(tuple(sorted(branch, key=_encode_path)) for branch in branches)
        self.unknowns = tuple(
            dict.fromkeys(field.unknown for branch in self.branches for field in branch if field.unknown)
        )
        certain_branches = self.branches
        if self.unknowns:
            certain_branches = tuple(
                branch for branch in self.branches if all(field.known_conditions for field in branch)
            )
        self.certain = self.possible = build_branch_set(certain_branches)
        if self.unknowns:
            self.possible = build_branch_set([find_possible_branch(branch) for branch in self.branches])
        deciding_branches = (*self.certain.branches, *self.possible.branches)
        self.field_paths = frozenset(field.path for branch in deciding_branches for field in branch)
        self.paths = self.field_paths | {
            path[:end] for path in self.field_paths for end, char in enumerate(path) if char == "."
        }
        self._leaf_getters = LeafGetters()

    def matches(self, event: Mapping[str, Any] | str | bytes) -> bool | None:
        """Whether an event matches; None where unknown values decide. Raises EventError if it is not a JSON object."""
        return self.matches_leaves(flatten_event(event, self.paths))

    def matches_leaves(self, leaves: Leaves) -> bool | None:
        """Whether an event matches whose leaves were read before; None where unknown values decide."""
        if self.certain.matcher(leaves, self._leaf_getters):
            return True
        if self.unknowns and self.possible.matcher(leaves, self._leaf_getters):
            return None
        return False
