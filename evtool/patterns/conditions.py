"""A compiled pattern as data: branches, fields and conditions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch
from evtool.patterns.flatten import Leaves
from evtool.patterns.operators.arguments import Test
from evtool.patterns.unknown import Unknown


class Condition(NamedTuple):
    """One alternative for a field: its dotted path, the operator, the operator's value, and the test it makes of it.

    With an `unknown` value it is undecided, for every value and for none. Its test holds for nothing then.
    """

    path: str
    operator: str
    expected: Any
    test: Test
    unknown: Unknown | None = None


# of a field that an event does not have
NO_MATCH, ABSENCE_MATCH = FieldMatch((), ()), FieldMatch((), (), can_be_absent=True)


class Field(NamedTuple):
    """What is asked of a field: that one of the conditions holds, which is what `test` tells of a value.

    `can_be_absent` tells that it may have no value instead. `keys` lead to the conditions in the pattern.
    `is_free_in_arrays` tells that it cannot be decided in arrays, since something unknown may choose the element.
    """

    path: str
    conditions: tuple[Condition, ...]
    test: Test
    can_be_absent: bool
    keys: tuple[str | int, ...] = ()
    is_free_in_arrays: bool = False

    @property
    def unknown(self) -> Unknown | None:
        """The first unknown value in its conditions."""
        return next((condition.unknown for condition in self.conditions if condition.unknown), None)

    @property
    def known_conditions(self) -> tuple[Condition, ...]:
        """The conditions without an unknown value. Without any the field holds for no event with certainty."""
        return tuple(condition for condition in self.conditions if condition.unknown is None)

    def find_match(self, leaves: Leaves) -> FieldMatch:
        """Where in an event the field holds."""
        field_leaves = leaves.get(self.path)
        if not field_leaves:
            if self.can_be_absent:
                return ABSENCE_MATCH
            return NO_MATCH
        test = self.test
        hits = [trail for value, trail in field_leaves if test(value)]
        return FieldMatch(hits, [leaf.trail for leaf in field_leaves] if self.can_be_absent else (), self.can_be_absent)


Branch = tuple[Field, ...]  # in the order in which AWS takes the fields


def find_possible_branch(branch: Branch) -> Branch:
    """The conditions that an event must meet to match a branch, whatever its unknown values are.

    AWS looks for absent fields in the array elements that the fields before have chosen. An unknown field may choose
    any element of the arrays that it shares, which are those below the same top-level field.
    """
    possible: list[Field] = []
    open_names: set[str] = set()
    for field in branch:
        name = field.path.partition(".")[0]
        if field.unknown:
            open_names.add(name)
        elif field.can_be_absent and not open_names.isdisjoint(("", name)):
            possible.append(field._replace(is_free_in_arrays=True))
        else:
            possible.append(field)
    return tuple(possible)


def combine_conditions(conditions: Sequence[Condition]) -> Test:
    """The test that one of the conditions holds."""
    if len(conditions) == 1:
        return conditions[0].test
    tests = [condition.test for condition in conditions]
    return lambda value: any(test(value) for test in tests)
