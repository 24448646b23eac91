"""Suggests the smallest changes to an event that make a pattern match, and checks that they do."""

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import islice
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.explain.event_structure import EventStructure, Steps
from evtool.patterns.explain.matching_values import MatchingValue, find_matching_value
from evtool.patterns.explain.mismatches import explain_mismatch, quote
from evtool.patterns.flatten import Leaf, Trail, flatten_event
from evtool.patterns.json_values import ARRAY, OBJECT, Pairs, kind_of, members_of
from evtool.patterns.pattern import Pattern
from evtool.readers.field_paths import format_path

ADD, REMOVE, SET = "add", "remove", "set"
MAX_CANDIDATES = 20  # in an event that are tried for one field
MAX_DEPTH = 100  # steps; to what is deeper no change is told


class Change(NamedTuple):
    """One value of an event that is set, added or removed. `is_arbitrary` tells that nearly any value would do."""

    action: str
    steps: Steps
    value: Any = None
    is_arbitrary: bool = False

    @property
    def path(self) -> str:
        """Where, as `--set` has it."""
        return format_path(self.steps)

    @property
    def text(self) -> str:
        """What is to be done: `detail.orderTotal = 100.01`, `add detail.channel`."""
        if self.is_arbitrary and self.action == SET:
            return f"another value for {self.path}"
        text = self.path if self.action == SET else f"{self.action} {self.path}"
        return text if self.is_arbitrary or self.action == REMOVE else f"{text} = {quote(self.value)}"

    def as_dict(self) -> dict[str, Any]:
        """The change as machines read it; there is no value where nearly any would do, or where it is removed."""
        record = {"action": self.action, "path": self.path}
        return record if self.is_arbitrary or self.action == REMOVE else {**record, "value": self.value}


class _Candidate(NamedTuple):
    """A way to make a field hold: what is changed, and where in the event it holds then."""

    changes: tuple[Change, ...]
    field_match: FieldMatch


def _apply_change(value: Any, steps: Steps, change: Change) -> Any:
    """A JSON value with a change made in it. What is not there is made: objects, and one more element of an array."""
    if not steps:
        return change.value
    step, rest = steps[0], steps[1:]
    kind = kind_of(value)
    entries: list[tuple[Any, Any]] = list(
        enumerate(value) if kind == ARRAY else members_of(value) if kind == OBJECT else ()
    )
    if change.action == REMOVE and not rest:
        entries = [(key, item) for key, item in entries if key != step]
    else:
        is_present = any(key == step for key, _ in entries)
        entries = [(key, _apply_change(item, rest, change) if key == step else item) for key, item in entries]
        entries += [] if is_present else [(step, _apply_change(None, rest, change))]
    return [item for _, item in entries] if kind == ARRAY else Pairs(entries)


# --- ways ------------------------------------------------------------------------------------------------------------


def _suggest_value(field: Field, leaf: Leaf, structure: EventStructure) -> _Candidate | None:
    """Another value for one that is there, or one more beside those of an array."""
    nearest = sorted(field.conditions, key=lambda condition: -explain_mismatch(condition, leaf.value).closeness)
    matching_value = next(filter(None, (find_matching_value(condition, leaf.value) for condition in nearest)), None)
    if matching_value is None:
        return None
    steps = structure.steps_to(field.path.split("."), leaf.trail)
    arrays = structure.containers.get(field.path, ())
    enclosing_arrays = [array for array in arrays if array.array_number is not None and array.trail == leaf.trail]
    if enclosing_arrays:
        return _build_candidate(Change(ADD, (*steps, len(enclosing_arrays[0].value)), *matching_value), leaf.trail)
    return _build_candidate(Change(SET, steps, *matching_value), leaf.trail)


def _build_candidate(change: Change, trail: Trail) -> _Candidate:
    return _Candidate((change,), FieldMatch([trail], [trail]))


def _suggest_additions(field: Field, structure: EventStructure) -> Iterator[_Candidate]:
    """The field, in each empty array that it is, and in each of the objects nearest to it that lack it."""
    matching_value: MatchingValue | None = next(filter(None, map(find_matching_value, field.conditions)), None)
    names = field.path.split(".")
    if matching_value is None:
        return
    for container in structure.containers.get(field.path, ()):
        if container.array_number is not None and not container.value:
            yield _build_candidate(
                Change(ADD, (*structure.steps_to(names, container.trail), 0), *matching_value), container.trail
            )
    for depth in range(len(names) - 1, -1, -1):
        parent, missing_names = names[:depth], tuple(names[depth:])
        for container in structure.objects_at(parent):
            if missing_names[0] not in dict(members_of(container.value)):
                yield _build_candidate(
                    Change(ADD, (*structure.steps_to(parent, container.trail), *missing_names), *matching_value),
                    container.trail,
                )


def _suggest_removal(field: Field, structure: EventStructure) -> _Candidate:
    names = field.path.split(".")
    steps = dict.fromkeys(structure.steps_to(names, leaf.trail) for leaf in structure.leaves.get(field.path, ()))
    return _Candidate(
        tuple(Change(REMOVE, removed_steps) for removed_steps in steps), FieldMatch((), (), can_be_absent=True)
    )


def _iter_candidates(field: Field, structure: EventStructure) -> Iterator[_Candidate]:
    """What could be done for a field, what is nearest first."""
    leaves = structure.leaves.get(field.path, ())
    mismatched = (leaf for leaf in leaves if not any(condition.test(leaf.value) for condition in field.conditions))
    yield from filter(None, (_suggest_value(field, leaf, structure) for leaf in mismatched))
    if field.can_be_absent:
        yield _suggest_removal(field, structure)
    yield from _suggest_additions(field, structure)


def _is_consistent_with(candidate: _Candidate, index: int, matches: Mapping[int, FieldMatch]) -> bool:
    """Whether a field can hold in this way together with those that hold already."""
    combined = {**matches, index: candidate.field_match}
    is_shallow = all(len(change.steps) <= MAX_DEPTH for change in candidate.changes)
    return is_shallow and is_consistent([combined[index] for index in sorted(combined)])


def find_smallest_change(
    pattern: Pattern, branch: Branch, matches: Mapping[int, FieldMatch], structure: EventStructure
) -> tuple[Change, ...] | None:
    """The changes by which an event matches, one field after the other; None when none are known.

    `matches` has those fields of the branch, by their number in it, that hold together already.
    """
    combined = dict(matches)
    changes: list[Change] = []
    for index, field in enumerate(branch):
        if index in matches:
            continue
        candidate = next(
            (
                candidate
                for candidate in islice(_iter_candidates(field, structure), MAX_CANDIDATES)
                if _is_consistent_with(candidate, index, combined)
            ),
            None,
        )
        if candidate is None:
            return None
        combined[index] = candidate.field_match
        changes += candidate.changes
    document = reduce(lambda value, change: _apply_change(value, change.steps, change), changes, structure.document)
    return tuple(changes) if pattern.matches_leaves(flatten_event(document)) else None
