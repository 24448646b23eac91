"""Finds the branches of two versions of a pattern that belong together, for an event that one of them matches."""

from collections.abc import Sequence
from itertools import islice

from evtool.patterns.conditions import Branch, Field
from evtool.patterns.flatten import Leaves

MAX_BRANCHES = 100  # of each version that are compared, for patterns with thousands of combinations


def find_nearest_branches(own: Sequence[Branch], other: Sequence[Branch], leaves: Leaves) -> tuple[int, int]:
    """The numbers of a branch that an event matches, and of the branch of the other version that is nearest to it.

    In the nearest one the fewest fields fail, and the most are the same as in the branch that matches.
    """
    failures = [sum(fails(field, leaves) for field in branch) for branch in other]
    fewest = min(failures)
    nearest = [number for number, count in enumerate(failures) if count == fewest][:MAX_BRANCHES]
    matching = list(islice((n for n, b in enumerate(own) if not any(fails(f, leaves) for f in b)), MAX_BRANCHES)) or [0]
    pairs = [(first, second) for first in matching for second in nearest]
    return max(pairs, key=lambda pair: (_count_equal(own[pair[0]], other[pair[1]]), -abs(pair[0] - pair[1])))


def fails(field: Field, leaves: Leaves) -> bool:
    """Whether no value of an event fits a field."""
    match = field.find_match(leaves)
    return not match.hits and not match.can_be_absent


def describe_fields(branch: Branch, path: str) -> list[tuple[str, str]]:
    """The operators and operands of a branch on a field, as values that can be compared."""
    return [entry for field in branch if field.path == path for entry in describe_conditions(field)]


def describe_conditions(field: Field) -> list[tuple[str, str]]:
    """The operators and operands of a field, as values that can be compared."""
    return [(condition.operator, repr(condition.expected)) for condition in field.conditions]


def _count_equal(own: Branch, other: Branch) -> int:
    known = {field.path: describe_conditions(field) for field in own}
    return sum(known.get(field.path) == describe_conditions(field) for field in other)
