"""Decides whether a schema accepts all values that another one accepts: by algebra, then by examples.

The algebra of jsonschema-rs answers yes, no or unknown. If it does not know, evtool compares the strings, and then
tries values: one that the inner schema accepts and the outer one refuses proves a no. Example, with
inner = {"type": "string", "pattern": "^[A-Z]+-[0-9]+$"} and outer = {"type": "string", "pattern": "^AB-"}:

1. the algebra does not compare regular expressions: unknown
2. the comparison of strings finds "A-0", which only the inner expression matches: the answer is no

Without a proof the answer is None, undecided.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any

from jsonschema_rs import ValidationError, canonicalize

from evtool.schemas.diff.inlining import LOOP, map_parts
from evtool.schemas.diff.samples import build_validator, iter_samples
from evtool.schemas.diff.strings import compare_strings

# Values that are tried for one schema.
MAX_SAMPLES = 300
# The number of draft 2020-12 in the engine's algebra.
DRAFT = 20


def is_covered(inner: Any, outer: Any, inner_loops: Mapping[str, Any], outer_loops: Mapping[str, Any]) -> bool | None:
    """Decides whether `outer` accepts all values that `inner` accepts; None if it cannot be decided."""
    inner_schema, outer_schema = write_loops(inner, inner_loops), write_loops(outer, outer_loops)
    answer = _ask_algebra(inner_schema, outer_schema)
    if answer is not None:
        return answer
    strings = compare_strings(inner, outer)
    if strings.holds:
        return True
    candidates = []
    if strings.example is not None:
        candidates.append(strings.example)
    if find_example(inner_schema, outer_schema, candidates) is not None:
        return False
    return None


def _ask_algebra(inner: Any, outer: Any) -> bool | None:
    try:
        first = canonicalize(inner, draft=DRAFT, validate_formats=True)
        second = canonicalize(outer, draft=DRAFT, validate_formats=True)
        answer = str(second.covers(first))
        if answer == "yes":
            return True
        # "no" means that it found no cover. Only a value that is left over is a proof.
        if answer == "no" and str(first.subtract(second).satisfiability()) == "yes":
            return False
    except Exception as error:
        # The algebra raises for forms that it does not know, and the engine's panics have no common class.
        if isinstance(error, MemoryError):
            raise
    return None


def find_example(inner: Any, outer: Any, candidates: Sequence[Any] = ()) -> list[Any] | None:
    """Finds a value that `inner` accepts and `outer` refuses. Returns it in a list, since the value may be None."""
    try:
        accepts, refuses = build_validator(inner), build_validator(outer)
    except (ValueError, ValidationError):
        return None
    for value in islice(chain(candidates, iter_samples(inner, inner)), MAX_SAMPLES):
        if accepts.is_valid(value) and not refuses.is_valid(value):
            return [value]
    return None


def write_loops(schema: Any, loops: Mapping[str, Any]) -> Any:
    """The schema with references in place of loops, as an engine reads it."""
    if not isinstance(schema, dict):
        return schema
    writer = _LoopWriter(loops)
    root = writer.write((), schema)
    if writer.definitions:
        return root | {"$defs": writer.definitions}
    return root


class _LoopWriter:
    """Writes each loop as a reference to a definition."""

    def __init__(self, loops: Mapping[str, Any]):
        self.definitions: dict[str, Any] = {}
        self._loops = loops
        self._names: dict[str, str] = {}

    def write(self, _: tuple[str | int, ...], part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        if LOOP not in part:
            return part | map_parts(part, self.write)
        uri = part[LOOP]
        # The name comes first: the target contains the loop again.
        if uri not in self._names:
            name = str(len(self._names))
            self._names[uri] = name
            self.definitions[name] = self.write((), self._loops[uri])
        return {"$ref": f"#/$defs/{self._names[uri]}"}
