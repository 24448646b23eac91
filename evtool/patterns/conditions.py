"""A compiled pattern as data: branches, fields and conditions.

A pattern has branches, a branch has fields, and a field has conditions:

    pattern      {"source": ["shop"], "detail": {"total": [{"numeric": [">", 5]}, null]}}
    branch       (Field "detail.total", Field "source"), in the order in which AWS takes the fields
    conditions   of "detail.total": numeric [">", 5], and equals null; one of them has to hold
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch
from evtool.patterns.flatten import Leaves
from evtool.patterns.json_values import Scalar
from evtool.patterns.operators.arguments import Test
from evtool.patterns.unknown import Unknown


class Condition(NamedTuple):
    """One alternative for a field: the dotted path, the operator with its argument, and the test for a value.

    A condition with an `unknown` value is undecided for every event. Its test returns False for all values.
    """

    path: str
    operator: str
    expected: Any
    test: Test
    unknown: Unknown | None = None


# The matches of a field that has no value in an event.
NO_MATCH = FieldMatch((), ())
ABSENCE_MATCH = FieldMatch((), (), can_be_absent=True)


class Field(NamedTuple):
    """A field of a pattern with its conditions. It holds for a value if one condition does, which `test` returns.

    `can_be_absent`: it also holds if it has no value. `keys` lead to the conditions in the pattern.
    `is_free_in_arrays`: it cannot be decided in arrays, because an unknown field may choose the element.
    """

    path: str
    conditions: tuple[Condition, ...]
    test: Test
    can_be_absent: bool
    keys: tuple[str | int, ...] = ()
    is_free_in_arrays: bool = False

    @property
    def unknown(self) -> Unknown | None:
        """The first unknown value in the conditions, or None."""
        for condition in self.conditions:
            if condition.unknown:
                return condition.unknown
        return None

    @property
    def known_conditions(self) -> tuple[Condition, ...]:
        """The conditions without an unknown value. If there are none, the field certainly holds for no event."""
        return tuple(condition for condition in self.conditions if condition.unknown is None)

    def find_match(self, leaves: Leaves) -> FieldMatch:
        """Returns where in an event the field holds."""
        field_leaves = leaves.get(self.path)
        if not field_leaves:
            if self.can_be_absent:
                return ABSENCE_MATCH
            return NO_MATCH
        test = self.test
        hits = [trail for value, trail in field_leaves if test(value)]
        if self.can_be_absent:
            return FieldMatch(hits, [leaf.trail for leaf in field_leaves], can_be_absent=True)
        return FieldMatch(hits, ())


# In the order in which AWS takes the fields.
Branch = tuple[Field, ...]


def find_possible_branch(branch: Branch) -> Branch:
    """Returns the fields that must hold for an event to match, whatever the unknown values of the branch are.

    For absent fields, AWS looks only at the array elements that earlier fields have chosen. An unknown field may choose
    any element of the arrays that it shares. These are the arrays below the same top-level field.
    """
    possible: list[Field] = []
    open_names: set[str] = set()
    for field in branch:
        name = field.path.partition(".")[0]
        if field.unknown:
            open_names.add(name)
            continue
        # An unknown value in place of the whole pattern has the path "".
        is_open = "" in open_names or name in open_names
        if field.can_be_absent and is_open:
            possible.append(field._replace(is_free_in_arrays=True))
        else:
            possible.append(field)
    return tuple(possible)


def combine_conditions(conditions: Sequence[Condition]) -> Test:
    """Returns the test that holds if one of the conditions holds."""
    if len(conditions) == 1:
        return conditions[0].test
    tests = [condition.test for condition in conditions]

    def holds(value: Scalar) -> bool:
        return any(test(value) for test in tests)

    return holds
