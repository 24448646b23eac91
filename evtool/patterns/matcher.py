"""Builds from the branches of a compiled pattern the functions that match events against it.

They are closures, since this is where the time goes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.field_values import MISSING, ArrayValues, Getters, normalize_value


class BranchSet(NamedTuple):
    """Branches, of which one must hold, and whether one does for an event, in whatever form the getters read it."""

    branches: Sequence[Branch]
    matcher: Callable[[Any, Getters], bool]


def build_branch_set(branches: Sequence[Branch]) -> BranchSet:
    """The branches with the function that matches events against them."""
    return BranchSet(branches, build_matcher(branches))


def build_matcher(branches: Sequence[Branch]) -> Callable[[Any, Getters], bool]:
    """Whether an event matches, in whatever form the getters read it."""
    matchers = [_build_branch_matcher(branch) for branch in branches]
    if len(matchers) == 1:
        (matcher,) = matchers
        return lambda event, getters: matcher(event, getters, {})

    def matches_any(event: Any, getters: Getters) -> bool:
        results: dict[int, bool] = {}
        return any(decide(event, getters, results) for decide in matchers)

    return matches_any


def _build_branch_matcher(branch: Branch) -> Callable[[Any, Getters, dict[int, bool]], bool]:
    """Whether all fields of a branch hold. `results` are those of fields with several values, which branches share."""
    fields = [(field.path, field.test, field) for field in branch]

    def matches(event: Any, getters: Getters, results: dict[int, bool]) -> bool:
        array_fields: list[tuple[Field, ArrayValues, bool]] = []
        for path, test, field in fields:
            value = getters[path](event)
            if value.__class__ is not str:
                value = normalize_value(value)
                if value is MISSING:
                    if field.can_be_absent:
                        continue
                    return False
                if value.__class__ is ArrayValues:
                    holds = results.get(id(field))
                    if holds is None:
                        holds = results[id(field)] = any(map(test, value.values))
                    if not holds and not field.can_be_absent:
                        return False
                    array_fields.append((field, value, holds))
                    continue
            if not test(value):
                return False
        return not array_fields or _has_common_elements(array_fields)

    return matches


def _has_common_elements(array_fields: Sequence[tuple[Field, ArrayValues, bool]]) -> bool:
    """Whether fields hold in the same elements of arrays."""
    array_fields = [entry for entry in array_fields if not (entry[0].is_free_in_arrays and all(entry[1].trails()))]
    if not array_fields:
        return True
    if len(array_fields) == 1:
        return array_fields[0][2]
    field_matches = []
    for field, (values, trails), _ in array_fields:
        leaves = list(zip(values, trails(), strict=True))
        hits = [trail for value, trail in leaves if field.test(value)]
        field_matches.append(
            FieldMatch(hits, [trail for _, trail in leaves] if field.can_be_absent else (), field.can_be_absent)
        )
    return is_consistent(field_matches)
