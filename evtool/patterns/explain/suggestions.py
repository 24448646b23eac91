"""Suggests the smallest changes to an event that make a pattern match, and checks that they do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain, islice
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.explain.event_structure import EventStructure, Steps
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.explain.mismatches import explain_mismatch, quote
from evtool.patterns.flatten import Leaf, Trail, flatten_event
from evtool.patterns.json_values import ARRAY, OBJECT, Pairs, Scalar, kind_of, members_of
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.pattern import Pattern
from evtool.readers.field_paths import format_path
from evtool.readers.locations import pointer_of

ADD, REMOVE, SET = "add", "remove", "set"
MAX_CANDIDATES = 20  # in an event that are tried for one field
MAX_ALTERNATIVES = 100  # values that are tried in one place
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
        if self.action == SET:
            text = self.path
        else:
            text = f"{self.action} {self.path}"
        if self.is_arbitrary or self.action == REMOVE:
            return text
        return f"{text} = {quote(self.value)}"

    def as_dict(self) -> dict[str, Any]:
        """The change as machines read it; there is no value where nearly any would do, or where it is removed."""
        record = {"action": self.action, "path": self.path}
        if self.is_arbitrary or self.action == REMOVE:
            return record
        return {**record, "value": self.value}


class SchemaCheck(NamedTuple):
    """What the schema of the event's type says of changes to the event.

    `find_violations` returns its errors in a changed event. `is_forbidden` tells whether it allows a value in no event
    at that place.
    """

    find_violations: Callable[[Any], Sequence[Finding]]
    is_forbidden: Callable[[Steps, Any], bool]


class Conflict(NamedTuple):
    """A field for which the schema of a type allows none of the values that a pattern asks for, and the reason."""

    path: str
    type: str
    reason: str


class Suggestion(NamedTuple):
    """The changes by which an event matches, None when none are known; `conflict` is why there can be none."""

    changes: tuple[Change, ...] | None
    conflict: Conflict | None = None


class _Candidate(NamedTuple):
    """A way to make a field hold: what is changed, the nearest alternative first, and where the field holds then."""

    alternatives: Sequence[tuple[Change, ...]]
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
        if is_present:
            entries += []
        else:
            entries += [(step, _apply_change(None, rest, change))]
    if kind == ARRAY:
        return [item for _, item in entries]
    return Pairs(entries)


# --- ways ------------------------------------------------------------------------------------------------------------


def _suggest_value(field: Field, leaf: Leaf, structure: EventStructure) -> _Candidate | None:
    """Other values for one that is there, or one more beside those of an array."""
    nearest = sorted(field.known_conditions, key=lambda condition: -explain_mismatch(condition, leaf.value).closeness)
    steps = structure.steps_to(field.path.split("."), leaf.trail)
    arrays = structure.containers.get(field.path, ())
    enclosing_arrays = [array for array in arrays if array.array_number is not None and array.trail == leaf.trail]
    if enclosing_arrays:
        return _build_candidate(ADD, (*steps, len(enclosing_arrays[0].value)), nearest, leaf.trail, leaf.value)
    return _build_candidate(SET, steps, nearest, leaf.trail, leaf.value)


def _build_candidate(
    action: str, steps: Steps, conditions: Sequence[Condition], trail: Trail, value: Scalar = None
) -> _Candidate | None:
    values = chain.from_iterable(iter_matching_values(condition, value) for condition in conditions)
    alternatives = [(Change(action, steps, *value),) for value in islice(values, MAX_ALTERNATIVES)]
    if alternatives:
        return _Candidate(alternatives, FieldMatch([trail], [trail]))
    return None


def _suggest_additions(field: Field, structure: EventStructure) -> Iterator[_Candidate | None]:
    """The field, in each empty array that it is, and in each of the objects nearest to it that lack it."""
    names = field.path.split(".")
    for container in structure.containers.get(field.path, ()):
        if container.array_number is not None and not container.value:
            steps = (*structure.steps_to(names, container.trail), 0)
            yield _build_candidate(ADD, steps, field.known_conditions, container.trail)
    for depth in range(len(names) - 1, -1, -1):
        parent, missing_names = names[:depth], tuple(names[depth:])
        for container in structure.objects_at(parent):
            if missing_names[0] not in dict(members_of(container.value)):
                steps = (*structure.steps_to(parent, container.trail), *missing_names)
                yield _build_candidate(ADD, steps, field.known_conditions, container.trail)


def _suggest_removal(field: Field, structure: EventStructure) -> _Candidate:
    names = field.path.split(".")
    steps = dict.fromkeys(structure.steps_to(names, leaf.trail) for leaf in structure.leaves.get(field.path, ()))
    return _Candidate(
        [tuple(Change(REMOVE, removed_steps) for removed_steps in steps)], FieldMatch((), (), can_be_absent=True)
    )


def _iter_candidates(field: Field, structure: EventStructure) -> Iterator[_Candidate]:
    """What could be done for a field, what is nearest first."""
    leaves = structure.leaves.get(field.path, ())
    mismatched = (leaf for leaf in leaves if not any(condition.test(leaf.value) for condition in field.conditions))
    yield from filter(None, (_suggest_value(field, leaf, structure) for leaf in mismatched))
    if field.can_be_absent:
        yield _suggest_removal(field, structure)
    yield from filter(None, _suggest_additions(field, structure))


def _is_consistent_with(candidate: _Candidate, index: int, matches: Mapping[int, FieldMatch]) -> bool:
    """Whether a field can hold in this way together with those that hold already."""
    combined = {**matches, index: candidate.field_match}
    is_shallow = all(len(change.steps) <= MAX_DEPTH for change in candidate.alternatives[0])
    return is_shallow and is_consistent([combined[index] for index in sorted(combined)])


def _choose_changes(
    branch: Branch,
    matches: Mapping[int, FieldMatch],
    structure: EventStructure,
    is_allowed: Callable[[tuple[Change, ...]], bool],
) -> tuple[Change, ...] | None:
    """The nearest changes that are allowed, for one field after the other."""
    combined = dict(matches)
    chosen: list[Change] = []
    for index, field in enumerate(branch):
        if index in matches:
            continue
        found = next(
            (
                (changes, candidate.field_match)
                for candidate in islice(_iter_candidates(field, structure), MAX_CANDIDATES)
                if _is_consistent_with(candidate, index, combined)
                for changes in candidate.alternatives
                if is_allowed(changes)
            ),
            None,
        )
        if found is None:
            return None
        chosen += found[0]
        combined[index] = found[1]
    return tuple(chosen)


def _apply_changes(structure: EventStructure, changes: Sequence[Change]) -> Any:
    return reduce(lambda value, change: _apply_change(value, change.steps, change), changes, structure.document)


# --- what the schema allows ------------------------------------------------------------------------------------------


def _takes_one_value(condition: Condition) -> bool:
    """Whether a condition holds for one value only; an IP address has several spellings."""
    if condition.unknown:
        return False
    expected = condition.expected
    is_address = isinstance(expected, str) and parse_address(expected) is not None
    return condition.operator == "exactly" or (condition.operator == EQUALS and not is_address)


def _find_reason(change: Change, structure: EventStructure, schema: SchemaCheck) -> Finding | None:
    """The violation by a value that no event may have there; None when another event may have it."""
    if not schema.is_forbidden(change.steps, change.value):
        return None
    violations = schema.find_violations(_apply_changes(structure, [change]))
    return next((finding for finding in violations if finding.pointer == pointer_of(change.steps)), None)


def _find_conflict(
    branch: Branch, matches: Mapping[int, FieldMatch], structure: EventStructure, schema: SchemaCheck
) -> Conflict | None:
    """The first field for which the schema allows no value; only one whose values can be enumerated."""
    for index, field in enumerate(branch):
        if index in matches or not all(map(_takes_one_value, field.conditions)):
            continue
        candidates = list(islice(_iter_candidates(field, structure), MAX_CANDIDATES))
        is_complete = all(
            len(field.conditions) <= len(candidate.alternatives) < MAX_ALTERNATIVES for candidate in candidates
        )
        if not candidates or len(candidates) == MAX_CANDIDATES or not is_complete:
            continue
        reasons = [
            _find_reason(changes[0], structure, schema)
            for candidate in candidates
            for changes in candidate.alternatives
        ]
        if reasons[0] and all(reasons):
            return Conflict(field.path, str(reasons[0].event_type), reasons[0].message)
    return None


def suggest_changes(
    pattern: Pattern,
    branch: Branch,
    matches: Mapping[int, FieldMatch],
    structure: EventStructure,
    schema: SchemaCheck | None = None,
) -> Suggestion:
    """The changes by which an event matches, if any are known, that leave a valid event valid.

    `matches` has those fields of the branch, by their number in it, that hold together already. Where nearly any value
    would do, the schema is not asked.
    """
    changes = _choose_changes(branch, matches, structure, lambda _: True)
    if changes is None or not pattern.matches_leaves(flatten_event(_apply_changes(structure, changes))):
        return Suggestion(None)
    if schema is None:
        return Suggestion(changes)

    def is_allowed(changes: tuple[Change, ...]) -> bool:
        is_arbitrary = any(change.is_arbitrary for change in changes)
        return is_arbitrary or not schema.find_violations(_apply_changes(structure, changes))

    if is_allowed(changes):
        return Suggestion(changes)
    changes = _choose_changes(branch, matches, structure, is_allowed)
    if changes is not None and is_allowed(changes):
        document = _apply_changes(structure, changes)
        return Suggestion(changes if pattern.matches_leaves(flatten_event(document)) else None)
    has_other_branches = len(pattern.branches) > 1
    return Suggestion(None, None if has_other_branches else _find_conflict(branch, matches, structure, schema))
