"""Explaining: why a pattern does or does not match an event, condition by condition, and what would have to change.

The answers are the matcher's own: the same tests, the same choice of array elements. What is added is words.
"""

from collections.abc import Collection, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import Found, consistent
from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.explain.event_structure import Anatomy, missing, written
from evtool.patterns.explain.mismatches import NEAR, Miss, miss, shown, wanted
from evtool.patterns.explain.suggestions import Change, smallest
from evtool.patterns.flatten import Trail
from evtool.patterns.json_values import plain
from evtool.patterns.pattern import Pattern

ONE_OF = "one-of"  # the operator of several alternatives
APART = 0.7  # the closeness of what holds, but not together with the rest
PAIRS = 1000  # of a value and an alternative that are looked at for the nearest
BRANCHES = 20  # that are looked at for the nearest
LISTED = 5  # alternatives, or elements, that a sentence lists


class Tried(NamedTuple):
    """What became of one field of a pattern.

    `operator` and `expected` are those of its condition; of several alternatives `one-of`, and the list as the pattern
    has it; `wanted` says it in words. `actual` are the values that the event has there. `reason` is why it does not
    hold, None when it does; `closeness` is how near it comes, 1 when it holds. `keys` lead to it in the pattern.
    """

    path: str
    operator: str
    expected: Any
    wanted: str
    actual: list[Any]
    ok: bool
    reason: str | None
    closeness: float
    keys: tuple[str | int, ...]


class Explanation(NamedTuple):
    """Why a pattern matches an event, or how near it comes.

    `conditions` are those of the branch that matches, or of the nearest; `branch` is its number, from 1, of `branches`:
    the combinations of the pattern's `$or`s. `changes` would make it match; None when it does, or none are known.
    """

    matches: bool
    conditions: tuple[Tried, ...]
    branch: int
    branches: int
    changes: tuple[Change, ...] | None

    @property
    def failed(self) -> list[Tried]:
        """The conditions that do not hold."""
        return [tried for tried in self.conditions if not tried.ok]

    @property
    def distance(self) -> tuple[int, float]:
        """What the nearest has least of: conditions that fail, then how far all are off on average."""
        return len(self.failed), 1 - _nearness(self.conditions)


class _Standing(NamedTuple):
    """How a branch stands: where each of its fields holds, and the numbers of those that hold together."""

    branch: Branch
    found: Sequence[Found]
    held: frozenset[int]


# --- which fields hold together --------------------------------------------------------------------------------------


def _held(found: Sequence[Found]) -> frozenset[int]:
    """The numbers of the fields that hold together: all, all that can hold but one, or as many as come first."""
    able = [number for number, each in enumerate(found) if each.hits or each.absent]
    for left_out in (None, *reversed(able)):
        kept = [number for number in able if number != left_out]
        if consistent([found[number] for number in kept]):
            return frozenset(kept)
    kept = []
    for number in able:
        if consistent([found[each] for each in (*kept, number)]):
            kept.append(number)
    return frozenset(kept)


def _standings(pattern: Pattern, anatomy: Anatomy) -> list[_Standing]:
    fields = {id(field): field for branch in pattern.branches for field in branch}  # branches share theirs
    found = {each: field.found_in(anatomy.leaves) for each, field in fields.items()}
    every = [[found[id(field)] for field in branch] for branch in pattern.branches]
    return [_Standing(branch, each, _held(each)) for branch, each in zip(pattern.branches, every, strict=True)]


# --- why one does not ------------------------------------------------------------------------------------------------


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:LISTED]) + (f" and {len(texts) - LISTED} more" if len(texts) > LISTED else "")


def _nearest(field: Field, anatomy: Anatomy) -> Miss:
    """Why no alternative of a field holds for any of its values."""
    values = list(dict.fromkeys(leaf.value for leaf in anatomy.leaves.get(field.path, ())))
    if not values:
        return missing(anatomy, field.path)
    pairs = islice(product(values, field.conditions), PAIRS)
    best = max((miss(condition, value) for value, condition in pairs), key=lambda each: each.closeness)
    said = f"none of {len(values)} values fits" if len(values) > 1 else f"{shown(values[0])} fits none of"
    if len(field.conditions) > 1 and best.closeness < NEAR:
        return Miss(best.closeness, f"{said} {_listed([wanted(condition) for condition in field.conditions])}")
    return Miss(best.closeness, f"{said}; the nearest: {best.reason}") if len(values) > 1 else best


def _elements(trails: Collection[Trail], array: int, anatomy: Anatomy) -> str:
    """The elements of an array that trails lead through: `detail.items[0], detail.items[2]`."""
    ends = {trail[: [each for each, _ in trail].index(array) + 1] for trail in trails if array in dict(trail)}
    return _listed([written(anatomy.steps(anatomy.arrays[array].path, end)) for end in sorted(ends)])


def _apart(number: int, standing: _Standing, anatomy: Anatomy) -> Miss:
    """Why a field that holds does not count: another one holds in other elements of an array."""
    branch, found, held = standing
    here = found[number].hits
    for other in sorted(held):
        there = found[other].hits
        for array in sorted({each for trail in here for each, _ in trail}):
            mine, others = (
                {dict(trail)[array] for trail in trails if array in dict(trail)} for trails in (here, there)
            )
            if others and not mine & others:
                at, also = _elements(here, array, anatomy), _elements(there, array, anatomy)
                reason = f"holds in {at}, but {branch[other].path} holds in {also}: one element must have both"
                return Miss(APART, reason)
    return Miss(APART, "holds, but in no array element in which the others hold")


def _why_not(number: int, standing: _Standing, anatomy: Anatomy) -> Miss | None:
    if number in standing.held:
        return None
    if standing.found[number].hits:
        return _apart(number, standing, anatomy)
    return _nearest(standing.branch[number], anatomy)


# --- the whole -------------------------------------------------------------------------------------------------------


def _tried(number: int, standing: _Standing, anatomy: Anatomy) -> Tried:
    field, why_not = standing.branch[number], _why_not(number, standing, anatomy)
    first, *more = field.conditions
    alternatives = [c.expected if c.operator == EQUALS else {c.operator: c.expected} for c in field.conditions]
    return Tried(
        path=field.path,
        operator=ONE_OF if more else first.operator,
        expected=alternatives if more else first.expected,
        wanted=_listed([wanted(condition) for condition in field.conditions]),
        actual=[plain(leaf.value) for leaf in anatomy.leaves.get(field.path, ())],
        ok=why_not is None,
        reason=why_not.reason if why_not else None,
        closeness=why_not.closeness if why_not else 1.0,
        keys=field.keys,
    )


def _nearness(conditions: Sequence[Tried]) -> float:
    return sum(tried.closeness for tried in conditions) / len(conditions)


def explain(pattern: Pattern, anatomy: Anatomy) -> Explanation:
    """Explains whether a pattern matches an event, and why."""
    standings = _standings(pattern, anatomy)
    failing = [len(branch) - len(held) for branch, _, held in standings]
    fewest = [number for number, count in enumerate(failing) if count == min(failing)][:BRANCHES]
    tried = {
        at: tuple(_tried(each, standings[at], anatomy) for each in range(len(standings[at].branch))) for at in fewest
    }
    best = max(fewest, key=lambda at: _nearness(tried[at]))
    matches = pattern.holds(anatomy.leaves)
    branch, found, held = standings[best]
    changes = None if matches else smallest(pattern, branch, {each: found[each] for each in held}, anatomy)
    return Explanation(matches, tried[best], best + 1, len(standings), changes)
