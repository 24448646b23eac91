"""Suggests the smallest changes of an event that make a pattern match, and checks that they do.

    pattern       {"source": ["shop"], "detail": {"total": [{"numeric": [">", 200]}], "coupon": [{"exists": false}]}}
    event         {"source": "shop", "detail": {"total": 188.4, "coupon": "X1"}}

    source        holds: nothing is changed
    detail.total  candidates: set detail.total to 200.01; the first that the schema allows is chosen
    detail.coupon candidates: remove detail.coupon
    check         the changed event matches: both changes are suggested

A candidate also has the trail at which its field will hold. The fields that already hold, and the candidates chosen so
far, must be in the same array elements. So the price of `items[1]` is changed if the other fields hold in `items[1]`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import ABSENCE_MATCH, Branch, Condition, Field
from evtool.patterns.explain.descriptions import quote
from evtool.patterns.explain.event_structure import EventStructure, Steps
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.explain.mismatches import explain_mismatch
from evtool.patterns.flatten import Leaf, Trail, flatten_event
from evtool.patterns.json_values import ARRAY, OBJECT, Pairs, Scalar, kind_of, members_of
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.pattern import Pattern
from evtool.readers.field_paths import format_path
from evtool.readers.locations import pointer_of

ADD, REMOVE, SET = "add", "remove", "set"
# Limits, so that a large event is explained quickly: places in an event that are tried for one field, and values that
# are tried in one place.
MAX_CANDIDATES = 20
MAX_ALTERNATIVES = 100
# Steps of a path. Changes are made by recursion, which Python limits.
MAX_DEPTH = 100


class Change(NamedTuple):
    """One value of an event that is set, added or removed. `is_arbitrary`: nearly any other value would do as well."""

    action: str
    steps: Steps
    value: Any = None
    is_arbitrary: bool = False

    @property
    def path(self) -> str:
        """The path of the value, as `--set` takes it."""
        return format_path(self.steps)

    @property
    def text(self) -> str:
        """The change in words: `detail.orderTotal = 100.01`, `add detail.channel`."""
        if self.is_arbitrary and self.action == SET:
            return f"another value for {self.path}"
        text = self.path
        if self.action != SET:
            text = f"{self.action} {self.path}"
        if self.is_arbitrary or self.action == REMOVE:
            return text
        return f"{text} = {quote(self.value)}"

    def as_dict(self) -> dict[str, Any]:
        """Returns the record for JSON output. It has no value if nearly any would do, or if the value is removed."""
        record: dict[str, Any] = {"action": self.action, "path": self.path}
        if not self.is_arbitrary and self.action != REMOVE:
            record["value"] = self.value
        return record


class SchemaCheck(NamedTuple):
    """The functions of a schema that check changes of an event.

    `find_violations` returns the errors of a changed event. `is_forbidden` returns whether no event of the type may
    have a value at a path.
    """

    find_violations: Callable[[Any], Sequence[Finding]]
    is_forbidden: Callable[[Steps, Any], bool]


class Conflict(NamedTuple):
    """A field for which the schema of a type allows none of the values that the pattern accepts, and the reason."""

    path: str
    type: str
    reason: str


class Suggestion(NamedTuple):
    """The changes that make an event match, or None. `conflict` is the reason if no change is possible."""

    changes: tuple[Change, ...] | None
    conflict: Conflict | None = None


class _Candidate(NamedTuple):
    """A way to make a field hold: alternative changes, the nearest one first, and where the field holds after them."""

    alternatives: Sequence[tuple[Change, ...]]
    field_match: FieldMatch


def _apply_change(value: Any, steps: Steps, change: Change) -> Any:
    """Returns a JSON value with a change. Creates missing objects on the way, and one more element of an array."""
    if not steps:
        return change.value
    step, rest = steps[0], steps[1:]
    kind = kind_of(value)
    # An array is treated as an object whose keys are indices. In place of a scalar, an object is created.
    members: Iterable[tuple[Any, Any]] = ()
    if kind == ARRAY:
        members = enumerate(value)
    elif kind == OBJECT:
        members = members_of(value)
    is_removal = change.action == REMOVE and not rest
    is_done = is_removal
    entries: list[tuple[Any, Any]] = []
    for key, item in members:
        if key != step:
            entries.append((key, item))
        elif not is_removal:
            is_done = True
            entries.append((key, _apply_change(item, rest, change)))
    if not is_done:
        entries.append((step, _apply_change(None, rest, change)))
    if kind == ARRAY:
        return [item for _, item in entries]
    return Pairs(entries)


# --- candidates -----------------------------------------------------------------------------------------------------


def _suggest_value(field: Field, leaf: Leaf, structure: EventStructure) -> _Candidate | None:
    """Suggests another value in place of an existing one, or an additional element of an array of values."""

    def closeness(condition: Condition) -> float:
        return explain_mismatch(condition, leaf.value).closeness

    nearest = sorted(field.known_conditions, key=closeness, reverse=True)
    steps = structure.steps_to(field.path.split("."), leaf.trail)
    for container in structure.containers.get(field.path, ()):
        # An array gets one more element, since other routes may need its other values.
        if container.array_number is not None and container.trail == leaf.trail:
            return _build_candidate(ADD, steps + (len(container.value),), nearest, leaf.trail, leaf.value)
    return _build_candidate(SET, steps, nearest, leaf.trail, leaf.value)


def _build_candidate(
    action: str, steps: Steps, conditions: Sequence[Condition], trail: Trail, value: Scalar = None
) -> _Candidate | None:
    matching = chain.from_iterable(iter_matching_values(condition, value) for condition in conditions)
    alternatives = []
    for matching_value, is_arbitrary in islice(matching, MAX_ALTERNATIVES):
        alternatives.append((Change(action, steps, matching_value, is_arbitrary),))
    if alternatives:
        return _Candidate(alternatives, FieldMatch([trail], [trail]))
    return None


def _suggest_additions(field: Field, structure: EventStructure) -> Iterator[_Candidate | None]:
    """Suggests the field as the element of an empty array, and in objects that lack it, the nearest ones first."""
    names = field.path.split(".")
    for container in structure.containers.get(field.path, ()):
        if container.array_number is not None and not container.value:
            steps = structure.steps_to(names, container.trail) + (0,)
            yield _build_candidate(ADD, steps, field.known_conditions, container.trail)
    for depth in range(len(names) - 1, -1, -1):
        parent, missing_names = names[:depth], tuple(names[depth:])
        for container in structure.objects_at(parent):
            if missing_names[0] not in dict(members_of(container.value)):
                steps = structure.steps_to(parent, container.trail) + missing_names
                yield _build_candidate(ADD, steps, field.known_conditions, container.trail)


def _suggest_removal(field: Field, structure: EventStructure) -> _Candidate:
    names = field.path.split(".")
    # The values of an array of values have the same steps. The array is removed as a whole, once.
    all_steps: dict[Steps, None] = {}
    for leaf in structure.leaves.get(field.path, ()):
        all_steps[structure.steps_to(names, leaf.trail)] = None
    changes = tuple(Change(REMOVE, steps) for steps in all_steps)
    return _Candidate([changes], ABSENCE_MATCH)


def _iter_candidates(field: Field, structure: EventStructure) -> Iterator[_Candidate]:
    """Yields the candidates for a field, the nearest one first."""
    for leaf in structure.leaves.get(field.path, ()):
        if any(condition.test(leaf.value) for condition in field.conditions):
            continue
        candidate = _suggest_value(field, leaf, structure)
        if candidate:
            yield candidate
    if field.can_be_absent:
        yield _suggest_removal(field, structure)
    yield from filter(None, _suggest_additions(field, structure))


def _is_consistent_with(candidate: _Candidate, index: int, matches: Mapping[int, FieldMatch]) -> bool:
    """Returns whether a field can hold by a candidate together with the fields that already hold."""
    if any(len(change.steps) > MAX_DEPTH for change in candidate.alternatives[0]):
        return False
    combined = dict(matches)
    combined[index] = candidate.field_match
    return is_consistent([combined[number] for number in sorted(combined)])


def _choose_changes(
    branch: Branch,
    matches: Mapping[int, FieldMatch],
    structure: EventStructure,
    is_allowed: Callable[[tuple[Change, ...]], bool],
) -> tuple[Change, ...] | None:
    """Returns the nearest allowed changes, chosen for one field after the other; None if a field has none."""
    combined = dict(matches)
    chosen: list[Change] = []
    for index, field in enumerate(branch):
        if index in matches:
            continue
        choice = _choose_candidate(field, index, combined, structure, is_allowed)
        if choice is None:
            return None
        changes, combined[index] = choice
        chosen += changes
    return tuple(chosen)


def _choose_candidate(
    field: Field,
    index: int,
    matches: Mapping[int, FieldMatch],
    structure: EventStructure,
    is_allowed: Callable[[tuple[Change, ...]], bool],
) -> tuple[tuple[Change, ...], FieldMatch] | None:
    """Returns the nearest allowed changes for one field, and where it holds after them."""
    for candidate in islice(_iter_candidates(field, structure), MAX_CANDIDATES):
        if _is_consistent_with(candidate, index, matches):
            for changes in candidate.alternatives:
                if is_allowed(changes):
                    return changes, candidate.field_match
    return None


def _apply_changes(structure: EventStructure, changes: Sequence[Change]) -> Any:
    document = structure.document
    for change in changes:
        document = _apply_change(document, change.steps, change)
    return document


def _allow_all(_: tuple[Change, ...]) -> bool:
    return True


# --- schemas --------------------------------------------------------------------------------------------------------


def _takes_one_value(condition: Condition) -> bool:
    """Returns whether a condition holds for one value only. An IP address has several spellings."""
    if condition.unknown:
        return False
    expected = condition.expected
    is_address = isinstance(expected, str) and parse_address(expected) is not None
    return condition.operator == "exactly" or (condition.operator == EQUALS and not is_address)


def _find_reason(change: Change, structure: EventStructure, schema: SchemaCheck) -> Finding | None:
    """Returns the violation by a value that no event may have at its path; None if another event may have it."""
    if not schema.is_forbidden(change.steps, change.value):
        return None
    pointer = pointer_of(change.steps)
    for finding in schema.find_violations(_apply_changes(structure, [change])):
        if finding.pointer == pointer:
            return finding
    return None


def _find_conflict(
    branch: Branch, matches: Mapping[int, FieldMatch], structure: EventStructure, schema: SchemaCheck
) -> Conflict | None:
    """Returns the first field for which the schema allows no value, if all its values are known; or None."""
    for index, field in enumerate(branch):
        if index in matches or not all(map(_takes_one_value, field.conditions)):
            continue
        candidates = list(islice(_iter_candidates(field, structure), MAX_CANDIDATES))
        if not candidates or len(candidates) == MAX_CANDIDATES:
            continue
        if not all(_has_all_values(candidate, field) for candidate in candidates):
            continue
        alternatives = chain.from_iterable(candidate.alternatives for candidate in candidates)
        reasons = [_find_reason(changes[0], structure, schema) for changes in alternatives]
        if reasons[0] and all(reasons):
            return Conflict(field.path, str(reasons[0].event_type), reasons[0].message)
    return None


def _has_all_values(candidate: _Candidate, field: Field) -> bool:
    """Returns whether a candidate has an alternative for each condition of a field, and was not cut at the limit."""
    return len(field.conditions) <= len(candidate.alternatives) < MAX_ALTERNATIVES


def suggest_changes(
    pattern: Pattern,
    branch: Branch,
    matches: Mapping[int, FieldMatch],
    structure: EventStructure,
    schema: SchemaCheck | None = None,
) -> Suggestion:
    """Suggests changes that make an event match and leave a valid event valid.

    `matches` are the fields of the branch that already hold together, by their number. Changes for which nearly any
    value would do are not checked against the schema.
    """
    # Without the schema first, since each check of the schema validates a whole event.
    changes = _choose_changes(branch, matches, structure, _allow_all)
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
        if pattern.matches_leaves(flatten_event(_apply_changes(structure, changes))):
            return Suggestion(changes)
        return Suggestion(None)
    # The schema may allow values of another branch.
    if len(pattern.branches) > 1:
        return Suggestion(None)
    return Suggestion(None, _find_conflict(branch, matches, structure, schema))
