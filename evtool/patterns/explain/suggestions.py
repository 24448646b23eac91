"""Changes: what would have to be different in an event for a pattern to match, tried before it is told."""

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import islice
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import Found, consistent
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.explain.event_structure import Anatomy, Steps, written
from evtool.patterns.explain.matching_values import Witness, witness
from evtool.patterns.explain.mismatches import miss, shown
from evtool.patterns.flatten import Leaf, Trail, leaves_of
from evtool.patterns.json_values import ARRAY, OBJECT, Pairs, kind_of, members
from evtool.patterns.pattern import Pattern

ADD, REMOVE, SET = "add", "remove", "set"
PLACES = 20  # in an event that are tried for one field
DEEP = 100  # steps; to what is deeper no change is told


class Change(NamedTuple):
    """One value of an event that is set, added or removed. `free` tells that nearly any value would do."""

    action: str
    steps: Steps
    value: Any = None
    free: bool = False

    @property
    def path(self) -> str:
        """Where, as `--set` has it."""
        return written(self.steps)

    @property
    def words(self) -> str:
        """What is to be done: `detail.orderTotal = 100.01`, `add detail.channel`."""
        if self.free and self.action == SET:
            return f"another value for {self.path}"
        said = self.path if self.action == SET else f"{self.action} {self.path}"
        return said if self.free or self.action == REMOVE else f"{said} = {shown(self.value)}"

    def as_dict(self) -> dict[str, Any]:
        """The change as machines read it; there is no value where nearly any would do, or where it is removed."""
        told = {"action": self.action, "path": self.path}
        return told if self.free or self.action == REMOVE else {**told, "value": self.value}


class _Way(NamedTuple):
    """A way to make a field hold: what is changed, and where in the event it holds then."""

    changes: tuple[Change, ...]
    found: Found


def _changed(value: Any, steps: Steps, change: Change) -> Any:
    """A JSON value with a change made in it. What is not there is made: objects, and one more element of an array."""
    if not steps:
        return change.value
    step, rest = steps[0], steps[1:]
    kind = kind_of(value)
    entries: list[tuple[Any, Any]] = list(
        enumerate(value) if kind == ARRAY else members(value) if kind == OBJECT else ()
    )
    if change.action == REMOVE and not rest:
        entries = [(key, item) for key, item in entries if key != step]
    else:
        there = any(key == step for key, _ in entries)
        entries = [(key, _changed(item, rest, change) if key == step else item) for key, item in entries]
        entries += [] if there else [(step, _changed(None, rest, change))]
    return [item for _, item in entries] if kind == ARRAY else Pairs(entries)


# --- ways ------------------------------------------------------------------------------------------------------------


def _set(field: Field, leaf: Leaf, anatomy: Anatomy) -> _Way | None:
    """Another value for one that is there, or one more beside those of an array."""
    nearest = sorted(field.conditions, key=lambda condition: -miss(condition, leaf.value).closeness)
    found = next(filter(None, (witness(condition, leaf.value) for condition in nearest)), None)
    if found is None:
        return None
    steps = anatomy.steps(field.path, leaf.trail)
    arrays = anatomy.containers.get(field.path, ())
    around = [each for each in arrays if each.number is not None and each.trail == leaf.trail]
    if around:
        return _way(Change(ADD, (*steps, len(around[0].value)), *found), leaf.trail)
    return _way(Change(SET, steps, *found), leaf.trail)


def _way(change: Change, trail: Trail) -> _Way:
    return _Way((change,), Found([trail], [trail]))


def _added(field: Field, anatomy: Anatomy) -> Iterator[_Way]:
    """The field, in each empty array that it is, and in each of the objects nearest to it that lack it."""
    found: Witness | None = next(filter(None, map(witness, field.conditions)), None)
    names = field.path.split(".")
    if found is None:
        return
    for place in anatomy.containers.get(field.path, ()):
        if place.number is not None and not place.value:
            yield _way(Change(ADD, (*anatomy.steps(field.path, place.trail), 0), *found), place.trail)
    for depth in range(len(names) - 1, -1, -1):
        above, rest = ".".join(names[:depth]), tuple(names[depth:])
        for place in anatomy.objects(above):
            if rest[0] not in dict(members(place.value)):
                yield _way(Change(ADD, (*anatomy.steps(above, place.trail), *rest), *found), place.trail)


def _removed(field: Field, anatomy: Anatomy) -> _Way:
    steps = dict.fromkeys(anatomy.steps(field.path, leaf.trail) for leaf in anatomy.leaves.get(field.path, ()))
    return _Way(tuple(Change(REMOVE, each) for each in steps), Found((), (), absent=True))


def _ways(field: Field, anatomy: Anatomy) -> Iterator[_Way]:
    """What could be done for a field, what is nearest first."""
    leaves = anatomy.leaves.get(field.path, ())
    wrong = (leaf for leaf in leaves if not any(condition.test(leaf.value) for condition in field.conditions))
    yield from filter(None, (_set(field, leaf, anatomy) for leaf in wrong))
    if field.absent:
        yield _removed(field, anatomy)
    yield from _added(field, anatomy)


def _fits(way: _Way, number: int, held: Mapping[int, Found]) -> bool:
    """Whether a field can hold in this way together with those that hold already."""
    together = {**held, number: way.found}
    short = all(len(change.steps) <= DEEP for change in way.changes)
    return short and consistent([together[each] for each in sorted(together)])


def smallest(
    pattern: Pattern, branch: Branch, held: Mapping[int, Found], anatomy: Anatomy
) -> tuple[Change, ...] | None:
    """The changes by which an event matches, one field after the other; None when none are known.

    `held` has those fields of the branch, by their number in it, that hold together already.
    """
    together = dict(held)
    changes: list[Change] = []
    for number, field in enumerate(branch):
        if number in held:
            continue
        way = next((way for way in islice(_ways(field, anatomy), PLACES) if _fits(way, number, together)), None)
        if way is None:
            return None
        together[number] = way.found
        changes += way.changes
    document = reduce(lambda value, change: _changed(value, change.steps, change), changes, anatomy.document)
    return tuple(changes) if pattern.holds(leaves_of(document)) else None
