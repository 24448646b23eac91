"""Builds the functions that match events against the branches of a compiled pattern.

They are closures: they run for each pattern and each event, and a closure has no attributes to look up.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.field_values import MISSING, ArrayValues, Getters, normalize_value


class BranchSet(NamedTuple):
    """Branches, and the function that returns whether one of them holds for an event.

    The function takes the event in any decoded form, and the getters that read values from this form.
    """

    branches: Sequence[Branch]
    matcher: Callable[[Any, Getters], bool]


def build_branch_set(branches: Sequence[Branch]) -> BranchSet:
    """Returns the branches with the function that matches events against them."""
    return BranchSet(branches, build_matcher(branches))


def build_matcher(branches: Sequence[Branch]) -> Callable[[Any, Getters], bool]:
    """Returns the function that matches events, in any decoded form, against branches."""
    matchers = [_build_branch_matcher(branch) for branch in branches]
    # A pattern without `$or` has one branch, and needs no loop.
    if len(matchers) == 1:
        matcher = matchers[0]

        def matches_one(event: Any, getters: Getters) -> bool:
            return matcher(event, getters, {})

        return matches_one

    def matches_any(event: Any, getters: Getters) -> bool:
        results: dict[int, bool] = {}
        return any(decide(event, getters, results) for decide in matchers)

    return matches_any


def _build_branch_matcher(branch: Branch) -> Callable[[Any, Getters, dict[int, bool]], bool]:
    """Returns the function that decides whether all fields of a branch hold.

    Branches share fields. `results` holds the results of fields with several values, so that each is tested once.
    """
    fields = [(field.path, field.test, field) for field in branch]

    def matches(event: Any, getters: Getters, results: dict[int, bool]) -> bool:
        array_fields: list[tuple[Field, ArrayValues, bool]] = []
        for path, test, field in fields:
            value = getters[path](event)
            # Most values are strings, which are compared as they are.
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
    """Returns whether fields hold in the same elements of arrays."""
    # A field that an unknown value may decide is left out, if all its values are in arrays.
    array_fields = [entry for entry in array_fields if not (entry[0].is_free_in_arrays and all(entry[1].trails()))]
    if not array_fields:
        return True
    if len(array_fields) == 1:
        return array_fields[0][2]
    field_matches = []
    for field, (values, get_trails), _ in array_fields:
        trails = get_trails()
        hits = [trail for value, trail in zip(values, trails, strict=True) if field.test(value)]
        present: Sequence[Any] = ()
        if field.can_be_absent:
            present = trails
        field_matches.append(FieldMatch(hits, present, field.can_be_absent))
    return is_consistent(field_matches)
