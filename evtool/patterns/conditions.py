"""A compiled pattern as data (branches, fields, conditions), and the functions that match events against it.

What decides are closures, since this is where the time goes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.field_values import MISSING, ArrayValues, Getters, normalize_value
from evtool.patterns.flatten import Leaves
from evtool.patterns.operators.arguments import Test


class Condition(NamedTuple):
    """One alternative for a field: its dotted path, the operator, the operator's value, and the test it makes of it."""

    path: str
    operator: str
    expected: Any
    test: Test


# of a field that an event does not have
NO_MATCH, ABSENCE_MATCH = FieldMatch((), ()), FieldMatch((), (), can_be_absent=True)


class Field(NamedTuple):
    """What is asked of a field: that one of the conditions holds, which is what `test` tells of a value.

    `can_be_absent` tells that it may have no value instead. `keys` lead to the conditions in the pattern.
    """

    path: str
    conditions: tuple[Condition, ...]
    test: Test
    can_be_absent: bool
    keys: tuple[str | int, ...] = ()

    def find_match(self, leaves: Leaves) -> FieldMatch:
        """Where in an event the field holds."""
        field_leaves = leaves.get(self.path)
        if not field_leaves:
            return ABSENCE_MATCH if self.can_be_absent else NO_MATCH
        test = self.test
        hits = [trail for value, trail in field_leaves if test(value)]
        return FieldMatch(hits, [leaf.trail for leaf in field_leaves] if self.can_be_absent else (), self.can_be_absent)


Branch = tuple[Field, ...]  # in the order in which AWS takes the fields


def combine_conditions(conditions: Sequence[Condition]) -> Test:
    """The test that one of the conditions holds."""
    if len(conditions) == 1:
        return conditions[0].test
    tests = [condition.test for condition in conditions]
    return lambda value: any(test(value) for test in tests)


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
