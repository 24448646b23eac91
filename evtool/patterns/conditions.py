"""Branches: a compiled pattern as data, what it asks of which field, and the decision whether an event has it all.

What decides are closures, since this is where the time goes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import Found, consistent
from evtool.patterns.field_values import MISSING, Getters, Several, settled
from evtool.patterns.flatten import Leaves
from evtool.patterns.operators.arguments import Test


class Condition(NamedTuple):
    """One alternative for a field: its dotted path, the operator, the operator's value, and the test it makes of it."""

    path: str
    operator: str
    expected: Any
    test: Test


NOWHERE, NO_VALUE = Found((), ()), Found((), (), absent=True)  # of a field that an event does not have


class Field(NamedTuple):
    """What is asked of a field: that one of the conditions holds, which is what `test` tells of a value.

    `absent` tells that it may have no value instead. `keys` lead to the conditions in the pattern.
    """

    path: str
    conditions: tuple[Condition, ...]
    test: Test
    absent: bool
    keys: tuple[str | int, ...] = ()

    def found_in(self, leaves: Leaves) -> Found:
        """Where in an event the field holds."""
        here = leaves.get(self.path)
        if not here:
            return NO_VALUE if self.absent else NOWHERE
        test = self.test
        hits = [trail for value, trail in here if test(value)]
        return Found(hits, [leaf.trail for leaf in here] if self.absent else (), self.absent)


Branch = tuple[Field, ...]  # in the order in which AWS takes the fields


def any_of(conditions: Sequence[Condition]) -> Test:
    """The test that one of the conditions holds."""
    if len(conditions) == 1:
        return conditions[0].test
    tests = [condition.test for condition in conditions]
    return lambda value: any(test(value) for test in tests)


def decided_by(branches: Sequence[Branch]) -> Callable[[Any, Getters], bool]:
    """Whether an event matches, in whatever form the getters read it."""
    decisions = [_all_hold(branch) for branch in branches]
    if len(decisions) == 1:
        (decide,) = decisions
        return lambda event, getters: decide(event, getters, {})

    def any_holds(event: Any, getters: Getters) -> bool:
        known: dict[int, bool] = {}
        return any(decide(event, getters, known) for decide in decisions)

    return any_holds


def _all_hold(branch: Branch) -> Callable[[Any, Getters, dict[int, bool]], bool]:
    """Whether all fields of a branch hold. `known` tells of fields with several values, which branches share."""
    fields = [(field.path, field.test, field) for field in branch]

    def decide(event: Any, getters: Getters, known: dict[int, bool]) -> bool:
        in_arrays: list[tuple[Field, Several, bool]] = []
        for path, test, field in fields:
            value = getters[path](event)
            if value.__class__ is not str:
                value = settled(value)
                if value is MISSING:
                    if field.absent:
                        continue
                    return False
                if value.__class__ is Several:
                    holds = known.get(id(field))
                    if holds is None:
                        holds = known[id(field)] = any(map(test, value.values))
                    if not holds and not field.absent:
                        return False
                    in_arrays.append((field, value, holds))
                    continue
            if not test(value):
                return False
        return not in_arrays or _hold_together(in_arrays)

    return decide


def _hold_together(in_arrays: Sequence[tuple[Field, Several, bool]]) -> bool:
    """Whether fields hold in the same elements of arrays."""
    if len(in_arrays) == 1:
        return in_arrays[0][2]
    found = []
    for field, (values, trails), _ in in_arrays:
        leaves = list(zip(values, trails(), strict=True))
        hits = [trail for value, trail in leaves if field.test(value)]
        found.append(Found(hits, [trail for _, trail in leaves] if field.absent else (), field.absent))
    return consistent(found)
