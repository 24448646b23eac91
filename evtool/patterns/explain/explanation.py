"""Explains for each condition why a pattern matches an event or not, and which change would make it match.

The explanation uses the tests of the matcher and its check of array elements, so both always agree. For a pattern with
several branches, it describes the nearest one:

    pattern     {"$or": [{"source": ["shop.cart"]}, {"source": ["shop"], "detail": {"total": [5]}}]}
    event       {"source": "shop", "detail": {"total": 6}}
    branch 1    1 of 1 conditions fails: "shop" is not "shop.cart"
    branch 2    1 of 2 conditions fails: 6 is 1 above 5
    nearest     branch 2: as many conditions fail, but on average they are closer
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, islice, product
from operator import attrgetter
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some
from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.compiler import EQUALS, UNKNOWN
from evtool.patterns.conditions import NO_MATCH, Branch, Condition, Field, find_possible_branch
from evtool.patterns.explain.descriptions import describe_condition, quote
from evtool.patterns.explain.event_structure import EventStructure, explain_missing, explain_warnings
from evtool.patterns.explain.mismatches import NEAR, Mismatch, explain_mismatch
from evtool.patterns.explain.suggestions import Change, Conflict, SchemaCheck, Suggestion, suggest_changes
from evtool.patterns.flatten import Trail
from evtool.patterns.json_values import to_python
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown, to_known
from evtool.readers.field_paths import format_path

# The operator in the record of a field with several alternatives.
ONE_OF = "one-of"
# The closeness of a condition that depends on an unknown value.
UNDECIDED_CLOSENESS = 0.9
# The closeness of a condition that holds, but in other array elements than the rest.
INCONSISTENT_CLOSENESS = 0.7
# Limits, so that a large event or pattern is explained quickly: pairs of a value and an alternative that are compared,
# and branches with equally few failures that are compared.
MAX_PAIRS = 1000
MAX_NEAREST_BRANCHES = 20
# Alternatives or array elements in a sentence.
MAX_LISTED = 5


class ConditionResult(NamedTuple):
    """The result for one field of a pattern.

    `operator` and `expected` are those of its condition. For several alternatives they are `one-of` and the list of the
    pattern, with None for unknown values. `description` is the condition in words. `actual` are the event's values.
    `ok` is None if an unknown value decides. `reason` explains why the field fails or is undecided; it is None if the
    field holds. `closeness` is from 0 to 1; 1 if the field holds. `keys` lead to the field in the pattern.
    """

    path: str
    operator: str
    expected: Any
    description: str
    actual: list[Any]
    ok: bool | None
    reason: str | None
    closeness: float
    keys: tuple[str | int, ...]


class Explanation(NamedTuple):
    """The explanation of a pattern for an event. `matches` is None if unknown values decide.

    `conditions` belong to the branch that matches, or to the nearest one. `branch` is its number from 1, `branches` the
    number of all branches. `changes` of the event would make the pattern match; None if it matches, or if no changes
    are known. `conflict` is set if the schema of the event allows no such change.
    """

    matches: bool | None
    conditions: tuple[ConditionResult, ...]
    branch: int
    branches: int
    changes: tuple[Change, ...] | None
    conflict: Conflict | None = None

    @property
    def failures(self) -> list[ConditionResult]:
        """The conditions that do not hold."""
        return [result for result in self.conditions if result.ok is False]

    @property
    def distance(self) -> tuple[int, int, float]:
        """A sort key: matching patterns are first, then undecided ones, then the others.

        Among equal ones, fewer failed conditions are first, then conditions that are closer on average.
        """
        rank = [True, None, False].index(self.matches)
        return rank, len(self.failures), 1 - _average_closeness(self.conditions)


class _BranchResult(NamedTuple):
    """The result for a branch: where each field holds, and the numbers of the fields that hold together.

    `undecided` are the numbers of fields that unknown values decide, with these values.
    """

    branch: Branch
    field_matches: Sequence[FieldMatch]
    consistent_fields: frozenset[int]
    undecided: Mapping[int, Sequence[Unknown]]

    @property
    def failure_count(self) -> int:
        """The number of fields that do not hold."""
        return len(self.branch) - len(self.consistent_fields) - len(self.undecided)


def _find_consistent_fields(field_matches: Sequence[FieldMatch]) -> frozenset[int]:
    """Returns the numbers of fields that hold together: all, or all but one, or as many as possible from the first."""
    possible = []
    for number, field_match in enumerate(field_matches):
        if field_match.hits or field_match.can_be_absent:
            possible.append(number)
    # To try all subsets would take exponential time. Usually a single field is in the wrong element.
    for excluded in chain([None], reversed(possible)):
        subset = [number for number in possible if number != excluded]
        if _hold_together(field_matches, subset):
            return frozenset(subset)
    subset = []
    for number in possible:
        if _hold_together(field_matches, subset + [number]):
            subset.append(number)
    return frozenset(subset)


def _hold_together(field_matches: Sequence[FieldMatch], numbers: Sequence[int]) -> bool:
    return is_consistent([field_matches[number] for number in numbers])


def _evaluate_branches(pattern: Pattern, structure: EventStructure) -> list[_BranchResult]:
    # Branches share fields: each one is tested once.
    match_by_field: dict[int, FieldMatch] = {}
    results = []
    for branch in pattern.branches:
        field_matches = []
        for field in branch:
            if id(field) not in match_by_field:
                match_by_field[id(field)] = field.find_match(structure.leaves)
            field_matches.append(match_by_field[id(field)])
        results.append(_evaluate_branch(branch, field_matches))
    return results


def _evaluate_branch(branch: Branch, field_matches: Sequence[FieldMatch]) -> _BranchResult:
    consistent_fields = _find_consistent_fields(field_matches)
    if len(consistent_fields) == len(branch) or not any(field.unknown for field in branch):
        return _BranchResult(branch, field_matches, consistent_fields, {})
    open_fields = _find_open_fields(branch, field_matches)
    # First the fields that hold whatever the unknown values are. The others must not choose array elements for them.
    decided = list(field_matches)
    for index in open_fields:
        decided[index] = NO_MATCH
    consistent = set(_find_consistent_fields(decided))
    for index in open_fields:
        if _hold_together(field_matches, sorted(consistent | {index})):
            consistent.add(index)
    undecided = {index: unknowns for index, unknowns in open_fields.items() if index not in consistent}
    return _BranchResult(branch, field_matches, frozenset(consistent), undecided)


def _find_open_fields(branch: Branch, field_matches: Sequence[FieldMatch]) -> dict[int, Sequence[Unknown]]:
    """Returns the numbers of the fields that unknown values may decide, with these values."""
    free_paths = {field.path for field in find_possible_branch(branch) if field.is_free_in_arrays}
    open_fields: dict[int, Sequence[Unknown]] = {}
    unknowns: list[Unknown] = []
    for index, (field, field_match) in enumerate(zip(branch, field_matches, strict=True)):
        own = [condition.unknown for condition in field.conditions if condition.unknown]
        unknowns += own
        if own:
            open_fields[index] = own
        elif field.path in free_paths and all(field_match.present):
            open_fields[index] = tuple(unknowns)
    return open_fields


def _explain_nearest(field: Field, structure: EventStructure) -> Mismatch:
    """Explains why no alternative of a field holds for any of its values."""
    values = list(dict.fromkeys(leaf.value for leaf in structure.leaves.get(field.path, ())))
    if not values:
        return explain_missing(structure, field.path)
    pairs = islice(product(values, field.conditions), MAX_PAIRS)
    mismatches = [explain_mismatch(condition, value) for value, condition in pairs]
    nearest = max(mismatches, key=attrgetter("closeness"))
    summary = f"{quote(values[0])} fits none of"
    if len(values) > 1:
        summary = f"none of {len(values)} values fits"
    # A near miss is described itself: it is probably the alternative that was meant.
    if len(field.conditions) > 1 and nearest.closeness < NEAR:
        return Mismatch(nearest.closeness, f"{summary} {_describe_field(field)}")
    if len(values) > 1:
        return Mismatch(nearest.closeness, f"{summary}; the nearest: {nearest.reason}")
    return nearest


def _describe_field(field: Field) -> str:
    return list_some([describe_condition(condition) for condition in field.conditions], MAX_LISTED)


def _describe_elements(trails: Collection[Trail], array: int, structure: EventStructure) -> str:
    """Returns the elements of an array that trails lead through: `detail.items[0], detail.items[2]`."""
    elements: set[Trail] = set()
    for trail in trails:
        arrays = [element_array for element_array, _ in trail]
        if array in arrays:
            elements.add(trail[: arrays.index(array) + 1])
    names = structure.arrays[array].path.split(".")
    paths = [format_path(structure.steps_to(names, element)) for element in sorted(elements)]
    return list_some(paths, MAX_LISTED)


def _list_arrays(trails: Collection[Trail]) -> list[int]:
    return sorted({array for array, _ in chain.from_iterable(trails)})


def _list_indices(trails: Collection[Trail], array: int) -> set[int]:
    """Returns the indices of an array that trails lead through."""
    return {index for element_array, index in chain.from_iterable(trails) if element_array == array}


def _explain_inconsistency(index: int, result: _BranchResult, structure: EventStructure) -> Mismatch:
    """Explains a field that holds, but in other array elements than another field."""
    branch, field_matches, consistent_fields, _ = result
    hits = field_matches[index].hits
    for other in sorted(consistent_fields):
        other_hits = field_matches[other].hits
        for array in _list_arrays(hits):
            other_indices = _list_indices(other_hits, array)
            if other_indices and other_indices.isdisjoint(_list_indices(hits, array)):
                elements = _describe_elements(hits, array, structure)
                others = _describe_elements(other_hits, array, structure)
                reason = f"holds in {elements}, but {branch[other].path} holds in {others}: one element must have both"
                return Mismatch(INCONSISTENT_CLOSENESS, reason)
    return Mismatch(INCONSISTENT_CLOSENESS, "holds, but not in an array element in which the other conditions hold")


def _explain_field(index: int, result: _BranchResult, structure: EventStructure) -> Mismatch | None:
    if index in result.consistent_fields:
        return None
    if index in result.undecided:
        sources = list(dict.fromkeys(unknown.source for unknown in result.undecided[index]))
        verb = "are"
        if len(sources) == 1:
            verb = "is"
        reason = f"undecided: {list_some(sources, MAX_LISTED)} {verb} not known before deployment"
        return Mismatch(UNDECIDED_CLOSENESS, reason)
    if result.field_matches[index].hits:
        return _explain_inconsistency(index, result, structure)
    return _explain_nearest(result.branch[index], structure)


def _build_condition_result(
    index: int, result: _BranchResult, structure: EventStructure, pattern: Pattern
) -> ConditionResult:
    field = result.branch[index]
    operator = field.conditions[0].operator
    expected = _get_known(field.conditions[0])
    if len(field.conditions) > 1:
        operator = ONE_OF
        expected = [_build_alternative(condition) for condition in field.conditions]
    mismatch = _explain_field(index, result, structure)
    closeness, reason = 1.0, None
    if mismatch:
        closeness = mismatch.closeness
        reason = mismatch.reason + explain_warnings(pattern, field, structure)
    ok: bool | None = mismatch is None
    if index in result.undecided:
        ok = None
    return ConditionResult(
        path=field.path,
        operator=operator,
        expected=expected,
        description=_describe_field(field),
        actual=[to_python(leaf.value) for leaf in structure.leaves.get(field.path, ())],
        ok=ok,
        reason=reason,
        closeness=closeness,
        keys=field.keys,
    )


def _get_known(condition: Condition) -> Any:
    """Returns the argument of a condition, with None for unknown values."""
    # Most conditions have no unknown value, and to_known() copies.
    if condition.unknown is None:
        return condition.expected
    return to_known(condition.expected)


def _build_alternative(condition: Condition) -> Any:
    """Returns a condition in the form of the pattern, with None for unknown values."""
    expected = _get_known(condition)
    if condition.operator in (EQUALS, UNKNOWN):
        return expected
    return {condition.operator: expected}


def _closeness_of(candidate: tuple[int, Sequence[ConditionResult]]) -> float:
    return _average_closeness(candidate[1])


def _average_closeness(conditions: Sequence[ConditionResult]) -> float:
    return sum(result.closeness for result in conditions) / len(conditions)


def explain(
    pattern: Pattern,
    structure: EventStructure,
    schema: SchemaCheck | None = None,
    *,
    branch: int | None = None,
    with_changes: bool = True,
) -> Explanation:
    """Explains whether a pattern matches an event, and why. Suggests only changes that the schema allows.

    Describes the nearest branch, or the one with the number `branch`, from 0.
    """
    branch_results = _evaluate_branches(pattern, structure)
    numbers = _find_fewest_failures(branch_results)
    if branch is not None:
        numbers = [branch]
    candidates = [(number, _explain_branch(branch_results[number], structure, pattern)) for number in numbers]
    best, conditions = max(candidates, key=_closeness_of)
    matches = pattern.matches_leaves(structure.leaves)
    suggestion = Suggestion(None)
    # An undecided event may already match, so no change is suggested for it.
    if with_changes and matches is False:
        result = branch_results[best]
        held = {index: result.field_matches[index] for index in result.consistent_fields}
        suggestion = suggest_changes(pattern, result.branch, held, structure, schema)
    return Explanation(matches, conditions, best + 1, len(branch_results), suggestion.changes, suggestion.conflict)


def _find_fewest_failures(branch_results: Sequence[_BranchResult]) -> list[int]:
    """Returns the numbers of the branches with the fewest failed conditions, but not too many."""
    fewest = min(result.failure_count for result in branch_results)
    numbers = [number for number, result in enumerate(branch_results) if result.failure_count == fewest]
    return numbers[:MAX_NEAREST_BRANCHES]


def _explain_branch(result: _BranchResult, structure: EventStructure, pattern: Pattern) -> tuple[ConditionResult, ...]:
    return tuple(_build_condition_result(index, result, structure, pattern) for index in range(len(result.branch)))
