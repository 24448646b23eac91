"""The objects and arrays of an event and its values by path, to explain missing fields."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from evtool.patterns.conditions import Field
from evtool.patterns.explain.mismatches import Mismatch, quote
from evtool.patterns.flatten import Container, EventError, Leaves, Trail, flatten_event
from evtool.patterns.hints import suggest_operator_list
from evtool.patterns.json_values import members_of, parse_lossless
from evtool.patterns.pattern import Pattern

Steps = tuple[str | int, ...]  # keys and indices that lead to a value

MAX_LISTED = 4  # names that a sentence lists
SIMILAR_NAME_CLOSENESS = 0.6  # the closeness of a field that is missing when one of a like name is there
SIMILARITY_CUTOFF = 0.6  # how alike names must be, as everywhere in evtool
# the names of the same field in the two envelopes
COUNTERPARTS = {"detail-type": "type", "type": "detail-type", "detail": "data", "data": "detail"}


class EventStructure(NamedTuple):
    """An event laid open. `containers` are its objects and arrays by path, `arrays` the arrays by their number."""

    document: Any
    leaves: Leaves
    containers: Mapping[str, Sequence[Container]]
    arrays: Mapping[int, Container]

    def objects_at(self, names: Sequence[str]) -> list[Container]:
        """The objects that some names lead to; no name leads to the event itself, the name "" to a field of it."""
        if not names:
            return [Container("", self.document, (), None)]
        containers = self.containers.get(".".join(names), ())
        return [container for container in containers if container.array_number is None]

    def steps_to(self, names: Sequence[str], trail: Trail) -> Steps:
        """The keys and indices that lead to the value at some names, in the array elements of a trail."""
        indices_by_depth = defaultdict(list)
        for array, index in trail:
            indices_by_depth[len(self.arrays[array].path.split("."))].append(index)
        steps: list[str | int] = []
        for depth, name in enumerate(names, start=1):
            steps += [name, *indices_by_depth[depth]]
        return tuple(steps)

    def has(self, path: str) -> bool:
        """Whether anything stands at a path."""
        return path in self.leaves or path in self.containers


def read_structure(event: Mapping[str, Any] | str | bytes) -> EventStructure:
    """Lays an event open. Raises EventError when it is not a JSON object."""
    try:
        if isinstance(event, (str, bytes)):
            document = parse_lossless(event)
        else:
            document = event
    except ValueError as error:
        raise EventError(f"the event is {error}") from None
    containers: list[Container] = []
    leaves = flatten_event(document, containers=containers)
    by_path: dict[str, list[Container]] = defaultdict(list)
    for container in containers:
        by_path[container.path].append(container)
    return EventStructure(
        document,
        leaves,
        dict(by_path),
        {container.array_number: container for container in containers if container.array_number is not None},
    )


# --- what is not there -----------------------------------------------------------------------------------------------


def _list_names(objects: Iterable[Container]) -> list[str]:
    return list(dict.fromkeys(name for container in objects for name, _ in members_of(container.value)))


def _join_names(names: Sequence[str]) -> str:
    return ", ".join(name or '""' for name in names[:MAX_LISTED]) + (" ..." if len(names) > MAX_LISTED else "")


def _explain_container(containers: Sequence[Container]) -> Mismatch:
    """A container stands where a value should."""
    names = _list_names(container for container in containers if container.array_number is None)
    container_kind = "an object"
    if containers[0].array_number is not None:
        container_kind = "an array of objects"
    if names:
        return Mismatch(
            0.3, f"the field is {container_kind} with {_join_names(names)}: conditions are on a value in it"
        )
    empty_kind = "an empty object"
    if containers[0].array_number is not None:
        empty_kind = "an array without a value"
    if containers[0].array_number is not None and not containers[0].value:
        empty_kind = "an empty array"
    return Mismatch(0.3, f"the field is {empty_kind}: there is nothing to compare")


def _suggest_path(structure: EventStructure, names: Sequence[str], depth: int) -> str | None:
    """The path that was likely meant by one whose first `depth` names are there."""
    missing_name = names[depth]
    known_names = _list_names(structure.objects_at(names[:depth]))
    names_by_lower = {name.lower(): name for name in known_names if name != missing_name}
    close_names = get_close_matches(missing_name.lower(), names_by_lower, n=1, cutoff=SIMILARITY_CUTOFF)
    suggested_name = (
        names_by_lower[close_names[0]] if close_names else COUNTERPARTS.get(missing_name) if depth == 0 else None
    )
    if suggested_name is not None and suggested_name in names_by_lower.values():
        path = ".".join([*names[:depth], suggested_name])
        full_path = ".".join([path, *names[depth + 1 :]])
        return full_path if structure.has(full_path) else path
    similar_paths = [path for path in structure.leaves if path.endswith(f".{names[-1]}") and path != ".".join(names)]
    return min(similar_paths, key=len, default=None)


def explain_missing(structure: EventStructure, path: str) -> Mismatch:
    """Why there is no value at a path, and which path may have been meant."""
    containers = structure.containers.get(path)
    if containers:
        return _explain_container(containers)
    names = path.split(".")
    depth = next(end for end in range(len(names) - 1, -1, -1) if end == 0 or structure.has(".".join(names[:end])))
    parent = ".".join(names[:depth])
    if depth and parent in structure.leaves and not structure.objects_at(names[:depth]):
        value = structure.leaves[parent][0].value
        json_note = ""
        if isinstance(value, str) and value.lstrip().startswith("{"):
            json_note = ": its JSON is in a string"
        return Mismatch(0.3, f"the field is missing: {parent} is {quote(value)} and has no fields{json_note}")
    if depth and not structure.objects_at(names[:depth]):
        return Mismatch(0.3, f"the field is missing: {parent} is an array without objects")
    location = ""
    if depth < len(names) - 1:
        location = f": {parent or 'the event'} has no {quote(names[depth])}"
    suggestion = _suggest_path(structure, names, depth)
    if suggestion:
        return Mismatch(SIMILAR_NAME_CLOSENESS, f'the field is missing{location}; did you mean "{suggestion}"?')
    return Mismatch(0, f"the field is missing{location}")


def explain_warnings(pattern: Pattern, field: Field, structure: EventStructure) -> str:
    """What is hardly meant in a field of a pattern, for the end of a reason.

    A field with the name of an operator may be meant, unless the event has a value where the field would be.
    """
    warnings = [warning for warning in pattern.warnings if field.keys == warning.path[: len(field.keys)]]
    warnings += [warning for warning in pattern.warnings if warning.path == field.keys[: len(warning.path)]]
    if (
        not warnings
        and field.path.rpartition(".")[0] in structure.leaves
        and (hint := suggest_operator_list(field.path))
    ):
        return f"; {hint}"
    return "".join(f"; {warning.message} ({warning.hint})" for warning in dict.fromkeys(warnings))
