"""A compiled pattern as data: branches, fields and conditions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch
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
