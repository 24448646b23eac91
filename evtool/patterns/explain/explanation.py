"""Explains why a pattern matches an event or not, by condition, and which change would make it match.

The answers are the matcher's own: the same tests, the same choice of array elements. What is added is words.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some
from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.compiler import EQUALS, UNKNOWN
from evtool.patterns.conditions import Branch, Condition, Field, find_possible_branch
from evtool.patterns.explain.event_structure import EventStructure, explain_missing, explain_warnings
from evtool.patterns.explain.mismatches import NEAR, Mismatch, describe_condition, explain_mismatch, quote
from evtool.patterns.explain.suggestions import Change, Conflict, SchemaCheck, Suggestion, suggest_changes
from evtool.patterns.flatten import Trail
from evtool.patterns.json_values import to_python
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown, to_known
from evtool.readers.field_paths import format_path

ONE_OF = "one-of"  # the operator of several alternatives
UNDECIDED_CLOSENESS = 0.9  # the closeness of what depends on an unknown value
INCONSISTENT_CLOSENESS = 0.7  # the closeness of what holds, but not together with the rest
MAX_PAIRS = 1000  # of a value and an alternative that are looked at for the nearest
MAX_NEAREST_BRANCHES = 20  # that are looked at for the nearest
MAX_LISTED = 5  # alternatives, or elements, that a sentence lists


class ConditionResult(NamedTuple):
    """What became of one field of a pattern.

    `operator` and `expected` are those of its condition; of several alternatives `one-of`, and the list as the pattern
    has it, with None for what is unknown; `description` says it in words. `actual` are the values that the event has
    there. `ok` is None when it depends on an unknown value. `reason` is why it does not hold or is undecided, None when
    it holds; `closeness` is how near it comes, 1 when it holds. `keys` lead to it in the pattern.
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
    """Why a pattern matches an event, or how near it comes. `matches` is None when unknown values decide.

    `conditions` are those of the branch that matches, or of the nearest; `branch` is its number, from 1, of `branches`:
    the combinations of the pattern's `$or`s. `changes` would make it match; None when it does, or none are known.
    `conflict` tells that the schema of the event allows none.
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
        """What the nearest has least of: what matches is before what is undecided and what does not.

        Then come conditions that fail, then how far all are off on average.
        """
        rank = [True, None, False].index(self.matches)
        return rank, len(self.failures), 1 - _average_closeness(self.conditions)


class _BranchResult(NamedTuple):
    """How a branch stands: where each of its fields holds, and the numbers of those that hold together.

    Of the others, the `undecided` ones may hold, depending on the unknown value.
    """

    branch: Branch
    field_matches: Sequence[FieldMatch]
    consistent_fields: frozenset[int]
    undecided: Mapping[int, Sequence[Unknown]]

    @property
    def failure_count(self) -> int:
        """How many fields do not hold."""
        return len(self.branch) - len(self.consistent_fields) - len(self.undecided)


# --- which fields hold together --------------------------------------------------------------------------------------


def _find_consistent_fields(field_matches: Sequence[FieldMatch]) -> frozenset[int]:
    """The numbers of the fields that hold together: all, all that can hold but one, or as many as come first."""
    possible = [
        number for number, field_match in enumerate(field_matches) if field_match.hits or field_match.can_be_absent
    ]
    for excluded in (None, *reversed(possible)):
        subset = [number for number in possible if number != excluded]
        if is_consistent([field_matches[number] for number in subset]):
            return frozenset(subset)
    subset = []
    for number in possible:
        if is_consistent([field_matches[index] for index in (*subset, number)]):
            subset.append(number)
    return frozenset(subset)


def _evaluate_branches(pattern: Pattern, structure: EventStructure) -> list[_BranchResult]:
    fields = {id(field): field for branch in pattern.branches for field in branch}  # branches share theirs
    match_by_field = {field_id: field.find_match(structure.leaves) for field_id, field in fields.items()}
    matches_by_branch = [[match_by_field[id(field)] for field in branch] for branch in pattern.branches]
    return [
        _evaluate_branch(branch, field_matches)
        for branch, field_matches in zip(pattern.branches, matches_by_branch, strict=True)
    ]


def _evaluate_branch(branch: Branch, field_matches: Sequence[FieldMatch]) -> _BranchResult:
    consistent_fields = _find_consistent_fields(field_matches)
    if len(consistent_fields) == len(branch) or not any(field.unknown for field in branch):
        return _BranchResult(branch, field_matches, consistent_fields, {})
    open_fields = _find_open_fields(branch, field_matches)
    nothing = FieldMatch((), ())
    decided = [nothing if index in open_fields else match for index, match in enumerate(field_matches)]
    consistent = set(_find_consistent_fields(decided))
    for index in open_fields:
        if is_consistent([field_matches[number] for number in sorted({*consistent, index})]):
            consistent.add(index)
    undecided = {index: unknowns for index, unknowns in open_fields.items() if index not in consistent}
    return _BranchResult(branch, field_matches, frozenset(consistent), undecided)


def _find_open_fields(branch: Branch, field_matches: Sequence[FieldMatch]) -> dict[int, Sequence[Unknown]]:
    """The numbers of the fields that unknown values may decide, and these values, as in the possible branches."""
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


# --- why one does not ------------------------------------------------------------------------------------------------


def _explain_nearest(field: Field, structure: EventStructure) -> Mismatch:
    """Why no alternative of a field holds for any of its values."""
    values = list(dict.fromkeys(leaf.value for leaf in structure.leaves.get(field.path, ())))
    if not values:
        return explain_missing(structure, field.path)
    pairs = islice(product(values, field.conditions), MAX_PAIRS)
    nearest = max(
        (explain_mismatch(condition, value) for value, condition in pairs), key=lambda mismatch: mismatch.closeness
    )
    if len(values) > 1:
        summary = f"none of {len(values)} values fits"
    else:
        summary = f"{quote(values[0])} fits none of"
    if len(field.conditions) > 1 and nearest.closeness < NEAR:
        return Mismatch(
            nearest.closeness,
            f"{summary} {list_some([describe_condition(condition) for condition in field.conditions], MAX_LISTED)}",
        )
    if len(values) > 1:
        return Mismatch(nearest.closeness, f"{summary}; the nearest: {nearest.reason}")
    return nearest


def _describe_elements(trails: Collection[Trail], array: int, structure: EventStructure) -> str:
    """The elements of an array that trails lead through: `detail.items[0], detail.items[2]`."""
    ends = {
        trail[: [element_array for element_array, _ in trail].index(array) + 1]
        for trail in trails
        if array in dict(trail)
    }
    return list_some(
        [format_path(structure.steps_to(structure.arrays[array].path.split("."), end)) for end in sorted(ends)],
        MAX_LISTED,
    )


def _explain_inconsistency(index: int, result: _BranchResult, structure: EventStructure) -> Mismatch:
    """Why a field that holds does not count: another one holds in other elements of an array."""
    branch, field_matches, consistent_fields, _ = result
    hits = field_matches[index].hits
    for other in sorted(consistent_fields):
        other_hits = field_matches[other].hits
        for array in sorted({element_array for trail in hits for element_array, _ in trail}):
            indices, other_indices = (
                {dict(trail)[array] for trail in trails if array in dict(trail)} for trails in (hits, other_hits)
            )
            if other_indices and not indices & other_indices:
                elements, others = (
                    _describe_elements(hits, array, structure),
                    _describe_elements(other_hits, array, structure),
                )
                reason = f"holds in {elements}, but {branch[other].path} holds in {others}: one element must have both"
                return Mismatch(INCONSISTENT_CLOSENESS, reason)
    return Mismatch(INCONSISTENT_CLOSENESS, "holds, but in no array element in which the others hold")


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


# --- the whole -------------------------------------------------------------------------------------------------------


def _build_condition_result(
    index: int, result: _BranchResult, structure: EventStructure, pattern: Pattern
) -> ConditionResult:
    field, mismatch = result.branch[index], _explain_field(index, result, structure)
    first, *others = field.conditions
    alternatives = [_build_alternative(condition) for condition in field.conditions]
    return ConditionResult(
        path=field.path,
        operator=ONE_OF if others else first.operator,
        expected=alternatives if others else _get_known(first),
        description=list_some([describe_condition(condition) for condition in field.conditions], MAX_LISTED),
        actual=[to_python(leaf.value) for leaf in structure.leaves.get(field.path, ())],
        ok=None if index in result.undecided else mismatch is None,
        reason=mismatch.reason + explain_warnings(pattern, field, structure) if mismatch else None,
        closeness=mismatch.closeness if mismatch else 1.0,
        keys=field.keys,
    )


def _get_known(condition: Condition) -> Any:
    """What a condition expects, with None for what is unknown."""
    if condition.unknown is None:
        return condition.expected
    return to_known(condition.expected)


def _build_alternative(condition: Condition) -> Any:
    """A condition as the pattern has it, with None for what is unknown."""
    expected = _get_known(condition)
    if condition.operator in (EQUALS, UNKNOWN):
        return expected
    return {condition.operator: expected}


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
    """Explains whether a pattern matches an event, and why. The changes are those that the schema allows.

    It is explained for the nearest branch, or for the one with the number `branch`.
    """
    branch_results = _evaluate_branches(pattern, structure)
    failure_counts = [result.failure_count for result in branch_results]
    fewest = min(failure_counts)
    nearest = [number for number, count in enumerate(failure_counts) if count == fewest][:MAX_NEAREST_BRANCHES]
    if branch is not None:
        nearest = [branch]
    results = {
        number: tuple(
            _build_condition_result(index, branch_results[number], structure, pattern)
            for index in range(len(branch_results[number].branch))
        )
        for number in nearest
    }
    best = max(nearest, key=lambda number: _average_closeness(results[number]))
    matches = pattern.matches_leaves(structure.leaves)
    best_branch, field_matches, consistent_fields, _ = branch_results[best]
    held = {index: field_matches[index] for index in consistent_fields}
    has_changes = with_changes and matches is False
    if has_changes:
        suggestion = suggest_changes(pattern, best_branch, held, structure, schema)
    else:
        suggestion = Suggestion(None)
    return Explanation(matches, results[best], best + 1, len(branch_results), *suggestion)
