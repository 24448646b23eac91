"""Event patterns: the language in which routes select events, with the same meaning as on AWS.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
A pattern is compiled into branches, one for each combination of its `$or`s. An event matches when all fields of a
branch hold, in one element of each array; a field holds when one of its conditions holds for one of its values.
"""

from collections.abc import Mapping
from typing import Any

from evtool.patterns.compiler import compile_pattern
from evtool.patterns.conditions import Branch
from evtool.patterns.field_values import LeafGetters
from evtool.patterns.flatten import Leaves, flatten_event
from evtool.patterns.matcher import build_matcher

# --- compiling ------------------------------------------------------------------------------------------------------


def _encode_path(path: str) -> bytes:
    return path.encode("utf-16-be", errors="surrogatepass")  # AWS sorts the paths as Java sorts strings


class Pattern:
    """An event pattern, ready to be tried on events.

    The source is a dict or JSON text; only text keeps the forms of numbers and duplicate keys. Raises PatternError,
    which says everything that is wrong; `warnings` are the problems of a pattern that can be used. `branches` is the
    pattern as data, `field_paths` are the paths that it asks for, and `paths` these and the objects above them, which
    is all that `flatten_event` needs to read.
    """

    def __init__(self, source: Mapping[str, Any] | str | bytes):
        branches, self.warnings = compile_pattern(source)
        self.branches: tuple[Branch, ...] = tuple(
            tuple(branch[path] for path in sorted(branch, key=_encode_path)) for branch in branches
        )
        self.field_paths = frozenset(path for branch in branches for path in branch)
        self.paths = self.field_paths | {
            path[:end] for path in self.field_paths for end, char in enumerate(path) if char == "."
        }
        self.matcher = build_matcher(self.branches)
        self._leaf_getters = LeafGetters()

    def matches(self, event: Mapping[str, Any] | str | bytes) -> bool:
        """Whether an event matches. Raises EventError when it is not a JSON object."""
        return self.matches_leaves(flatten_event(event, self.paths))

    def matches_leaves(self, leaves: Leaves) -> bool:
        """Whether an event matches whose leaves were read before."""
        return self.matcher(leaves, self._leaf_getters)
