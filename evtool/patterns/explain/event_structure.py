"""The anatomy of an event: its leaves and what stands around them, so that what is not there can be told about."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from evtool.patterns.explain.mismatches import Miss, shown
from evtool.patterns.flatten import Container, EventError, Leaves, Trail, leaves_of
from evtool.patterns.json_values import members, parse

Steps = tuple[str | int, ...]  # keys and indices that lead to a value

LISTED = 4  # names that a sentence lists
NAMED = 0.6  # the closeness of a field that is missing when one of a like name is there
CUTOFF = 0.6  # how alike names must be, as everywhere in evtool
TWINS = {"detail-type": "type", "type": "detail-type", "detail": "data", "data": "detail"}  # of the two envelopes


class Anatomy(NamedTuple):
    """An event laid open. `containers` are its objects and arrays by path, `arrays` the arrays by their number."""

    document: Any
    leaves: Leaves
    containers: Mapping[str, Sequence[Container]]
    arrays: Mapping[int, Container]

    def objects(self, path: str) -> list[Container]:
        """The objects at a path; the event itself stands at the empty one."""
        whole = [] if path else [Container("", self.document, (), None)]
        return whole + [each for each in self.containers.get(path, ()) if each.number is None]

    def steps(self, path: str, trail: Trail) -> Steps:
        """The keys and indices that lead to what stands at a path, in the array elements of a trail."""
        indices = defaultdict(list)
        for array, index in trail:
            indices[len(self.arrays[array].path.split("."))].append(index)
        steps: list[str | int] = []
        for number, name in enumerate(path.split(".") if path else [], start=1):
            steps += [name, *indices[number]]
        return tuple(steps)

    def has(self, path: str) -> bool:
        """Whether anything stands at a path."""
        return path in self.leaves or path in self.containers


def opened(event: Mapping[str, Any] | str | bytes) -> Anatomy:
    """Lays an event open. Raises EventError when it is not a JSON object."""
    try:
        document = parse(event) if isinstance(event, (str, bytes)) else event
    except ValueError as error:
        raise EventError(f"the event is {error}") from None
    found: list[Container] = []
    leaves = leaves_of(document, containers=found)
    by_path: dict[str, list[Container]] = defaultdict(list)
    for container in found:
        by_path[container.path].append(container)
    return Anatomy(document, leaves, dict(by_path), {each.number: each for each in found if each.number is not None})


def written(steps: Steps) -> str:
    """Steps as a path: `detail.items[0].price`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


# --- what is not there -----------------------------------------------------------------------------------------------


def _names(objects: Iterable[Container]) -> list[str]:
    return list(dict.fromkeys(name for each in objects for name, _ in members(each.value)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (" ..." if len(names) > LISTED else "")


def _below(here: Sequence[Container]) -> Miss:
    """A container stands where a value should."""
    names = _names(each for each in here if each.number is None)
    elements = "an array of objects" if here[0].number is not None else "an object"
    if names:
        return Miss(0.3, f"the field is {elements} with {_listed(names)}: conditions are on a value in it")
    empty = "an array without a value" if here[0].number is not None else "an empty object"
    if here[0].number is not None and not here[0].value:
        empty = "an empty array"
    return Miss(0.3, f"the field is {empty}: there is nothing to compare")


def _meant(anatomy: Anatomy, names: Sequence[str], depth: int) -> str | None:
    """The path that was likely meant by one whose first `depth` names are there."""
    above = ".".join(names[:depth])
    missing = names[depth]
    there = {name.lower(): name for name in _names(anatomy.objects(above)) if name != missing}
    near = get_close_matches(missing.lower(), there, n=1, cutoff=CUTOFF)
    found = there[near[0]] if near else TWINS.get(missing, "") if depth == 0 else ""
    if found in there.values():
        path = ".".join([*names[:depth], found])
        whole = ".".join([path, *names[depth + 1 :]])
        return whole if anatomy.has(whole) else path
    alike = [path for path in anatomy.leaves if path.endswith(f".{names[-1]}") and path != ".".join(names)]
    return min(alike, key=len, default=None)


def missing(anatomy: Anatomy, path: str) -> Miss:
    """Why there is no value at a path, and which path may have been meant."""
    if here := anatomy.containers.get(path):
        return _below(here)
    names = path.split(".")
    depth = next(end for end in range(len(names) - 1, -1, -1) if end == 0 or anatomy.has(".".join(names[:end])))
    above = ".".join(names[:depth])
    if above in anatomy.leaves and not anatomy.objects(above):
        value = anatomy.leaves[above][0].value
        inside = ": its JSON is in a string" if isinstance(value, str) and value.lstrip().startswith("{") else ""
        return Miss(0.3, f"the field is missing: {above} is {shown(value)} and has no fields{inside}")
    if depth and not anatomy.objects(above):
        return Miss(0.3, f"the field is missing: {above} is an array without objects")
    where = f": {above or 'the event'} has no {shown(names[depth])}" if depth < len(names) - 1 else ""
    meant = _meant(anatomy, names, depth)
    return (
        Miss(NAMED, f'the field is missing{where}; did you mean "{meant}"?')
        if meant
        else Miss(0, f"the field is missing{where}")
    )
