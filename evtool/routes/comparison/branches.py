"""Finds the branches of two versions of a pattern that correspond, for an event that one version matches.

Example: the base has the branches `type=a, size=L` and `type=b, size=L`, the current routes have `type=a, size=XL` and
`type=b, size=XL`. The event `type=b, size=L` matches the second branch of the base. In both current branches at least
one field fails: `type` and `size` in the first, `size` in the second. So the second one is the nearest, and `size` is
the condition that changed.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from evtool.patterns.conditions import Branch, Field
from evtool.patterns.flatten import Leaves

# Branches of each version that are compared at most: a pattern may have thousands of combinations.
MAX_BRANCHES = 100


def find_nearest_branches(own: Sequence[Branch], other: Sequence[Branch], leaves: Leaves) -> tuple[int, int]:
    """Returns the number of a branch that the event matches, and of the nearest branch of the other version.

    In the nearest branch the fewest fields fail, and the most fields are equal to those of the matching branch.
    """
    failures = [sum(fails(field, leaves) for field in branch) for branch in other]
    fewest = min(failures)
    nearest = [number for number, count in enumerate(failures) if count == fewest][:MAX_BRANCHES]
    matching = list(islice(_iter_matching(own, leaves), MAX_BRANCHES)) or [0]
    best, best_rank = (matching[0], nearest[0]), (-1, 0)
    for first in matching:
        for second in nearest:
            rank = (_count_equal(own[first], other[second]), -abs(first - second))
            if rank > best_rank:
                best, best_rank = (first, second), rank
    return best


def _iter_matching(branches: Sequence[Branch], leaves: Leaves) -> Iterator[int]:
    for number, branch in enumerate(branches):
        if not any(fails(field, leaves) for field in branch):
            yield number


def fails(field: Field, leaves: Leaves) -> bool:
    """Whether no value of an event satisfies a field."""
    match = field.find_match(leaves)
    return not match.hits and not match.can_be_absent


def describe_fields(branch: Branch, path: str) -> list[tuple[str, str]]:
    """Returns the operators and operands of a branch for a path, as values that can be compared."""
    described = []
    for field in branch:
        if field.path == path:
            described += describe_conditions(field)
    return described


def describe_conditions(field: Field) -> list[tuple[str, str]]:
    """Returns the operators and operands of a field, as values that can be compared."""
    return [(condition.operator, repr(condition.expected)) for condition in field.conditions]


def _count_equal(own: Branch, other: Branch) -> int:
    """Counts the fields of a branch whose conditions are the same in the other branch."""
    known = {field.path: describe_conditions(field) for field in own}
    return sum(known.get(field.path) == describe_conditions(field) for field in other)
