"""Event patterns: the language in which routes say which events they take, with the meaning that it has on AWS.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
A pattern is compiled into branches, one for each combination of its `$or`s. An event matches when all fields of a
branch hold, in one element of each array; a field holds when one of its conditions holds for one of its values.
"""

from collections.abc import Mapping
from typing import Any

from evtool.patterns.compiler import MAX_FIELDS, PatternError, Problem, compile_pattern
from evtool.patterns.conditions import Branch, decided_by
from evtool.patterns.field_values import OfLeaves
from evtool.patterns.flatten import Leaves, leaves_of

# --- compiling ------------------------------------------------------------------------------------------------------


def _taken(path: str) -> bytes:
    return path.encode("utf-16-be", errors="surrogatepass")  # AWS sorts the paths as Java sorts strings


class Pattern:
    """An event pattern, ready to be tried on events.

    The source is a dict or JSON text; only text keeps the forms of numbers and duplicate keys. Raises PatternError,
    which says everything that is wrong. `branches` is the pattern as data, `fields` are the paths that it asks for, and
    `paths` these and the objects above them, which is all that `leaves_of` need read of an event.
    """

    def __init__(self, source: Mapping[str, Any] | str | bytes):
        problems: list[Problem] = []
        branches = compile_pattern(source, problems)
        if any(len(branch) > MAX_FIELDS for branch in branches):
            problems.append(Problem("EV204", (), f"Size of rule exceeds max value of {MAX_FIELDS}"))
        if problems:
            raise PatternError(problems)
        self.branches: tuple[Branch, ...] = tuple(
            tuple(branch[path] for path in sorted(branch, key=_taken)) for branch in branches
        )
        self.fields = frozenset(path for branch in branches for path in branch)
        self.paths = self.fields | {path[:end] for path in self.fields for end, char in enumerate(path) if char == "."}
        self.takes = decided_by(self.branches)
        self._of_leaves = OfLeaves()

    def matches(self, event: Mapping[str, Any] | str | bytes) -> bool:
        """Whether an event matches. Raises EventError when it is not a JSON object."""
        return self.holds(leaves_of(event, self.paths))

    def holds(self, leaves: Leaves) -> bool:
        """Whether an event matches whose leaves were read before."""
        return self.takes(leaves, self._of_leaves)
