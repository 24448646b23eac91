"""The objects, arrays and values of an event by path, and the explanation of missing fields."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from evtool.patterns.conditions import Field
from evtool.patterns.explain.descriptions import quote
from evtool.patterns.explain.mismatches import Mismatch
from evtool.patterns.flatten import Container, Leaves, Trail, flatten_event, parse_object
from evtool.patterns.hints import suggest_operator_list
from evtool.patterns.json_values import members_of
from evtool.patterns.pattern import Pattern

# Keys and indices that lead to a value.
Steps = tuple[str | int, ...]

# Names in a sentence.
MAX_LISTED = 4
# The closeness of a missing field if the event has a field with a similar name: nearer than a wrong value.
SIMILAR_NAME_CLOSENESS = 0.6
# The similarity of names, as in `did_you_mean`.
SIMILARITY_CUTOFF = 0.6
# The closeness of an object in place of a value, or the reverse.
_OTHER_KIND = 0.3
# The names of the same field in the other envelope.
COUNTERPARTS = {"detail-type": "type", "type": "detail-type", "detail": "data", "data": "detail"}


class EventStructure(NamedTuple):
    """An event by its parts. `containers` are its objects and arrays by path, `arrays` the arrays by number."""

    document: Any
    leaves: Leaves
    containers: Mapping[str, Sequence[Container]]
    arrays: Mapping[int, Container]

    def objects_at(self, names: Sequence[str]) -> list[Container]:
        """Returns the objects at a path of names. No name is the path of the event, the name "" that of a field."""
        if not names:
            return [Container("", self.document, (), None)]
        containers = self.containers.get(".".join(names), ())
        return [container for container in containers if container.array_number is None]

    def steps_to(self, names: Sequence[str], trail: Trail) -> Steps:
        """Returns the keys and indices that lead to a value, from its names and its trail.

        A trail has the elements of each array. An array belongs after the name at the depth of its path:

            names    ("detail", "items", "sku")
            trail    ((0, 2),), where array 0 has the path "detail.items" of depth 2
            steps    ("detail", "items", 2, "sku")
        """
        indices_by_depth: dict[int, list[int]] = defaultdict(list)
        for array, index in trail:
            indices_by_depth[len(self.arrays[array].path.split("."))].append(index)
        steps: list[str | int] = []
        for depth, name in enumerate(names, start=1):
            steps.append(name)
            # Several indices, if an array contains arrays.
            steps += indices_by_depth[depth]
        return tuple(steps)

    def has(self, path: str) -> bool:
        """Returns whether the event has a value, an object or an array at a path."""
        return path in self.leaves or path in self.containers


def read_structure(event: Mapping[str, Any] | str | bytes) -> EventStructure:
    """Returns the parts of an event. Raises EventError if it is not a JSON object."""
    document = parse_object(event)
    containers: list[Container] = []
    leaves = flatten_event(document, containers=containers)
    by_path: dict[str, list[Container]] = defaultdict(list)
    arrays: dict[int, Container] = {}
    for container in containers:
        by_path[container.path].append(container)
        if container.array_number is not None:
            arrays[container.array_number] = container
    return EventStructure(document, leaves, dict(by_path), arrays)


# --- missing fields -------------------------------------------------------------------------------------------------


def _list_names(objects: Iterable[Container]) -> list[str]:
    """Returns the names of the fields of objects, each once."""
    names: dict[str, None] = {}
    for container in objects:
        names.update((name, None) for name, _ in members_of(container.value))
    return list(names)


def _join_names(names: Sequence[str]) -> str:
    text = ", ".join(name or '""' for name in names[:MAX_LISTED])
    if len(names) > MAX_LISTED:
        return f"{text} ..."
    return text


def _explain_container(containers: Sequence[Container]) -> Mismatch:
    """Explains an object or array in place of a value."""
    is_array = containers[0].array_number is not None
    names = _list_names(container for container in containers if container.array_number is None)
    if names:
        kind = "an object"
        if is_array:
            kind = "an array of objects"
        reason = f"the field is {kind} with {_join_names(names)}: conditions are on a value in it"
        return Mismatch(_OTHER_KIND, reason)
    kind = "an empty object"
    if is_array:
        kind = "an empty array"
        if containers[0].value:
            kind = "an array without a value"
    return Mismatch(_OTHER_KIND, f"the field is {kind}: there is nothing to compare")


def _suggest_path(structure: EventStructure, names: Sequence[str], depth: int) -> str | None:
    """Returns the path that was probably meant, for a path of which the event has the first `depth` names; or None."""
    missing_name = names[depth]
    known_names = _list_names(structure.objects_at(names[:depth]))
    names_by_lower = {name.lower(): name for name in known_names if name != missing_name}
    close_names = get_close_matches(missing_name.lower(), names_by_lower, n=1, cutoff=SIMILARITY_CUTOFF)
    suggested_name = None
    if close_names:
        suggested_name = names_by_lower[close_names[0]]
    elif depth == 0:
        suggested_name = COUNTERPARTS.get(missing_name)
    if suggested_name is not None and suggested_name in names_by_lower.values():
        path = ".".join(list(names[:depth]) + [suggested_name])
        full_path = ".".join([path] + list(names[depth + 1 :]))
        if structure.has(full_path):
            return full_path
        return path
    # The name may exist in another object, most likely near the top.
    similar_paths = [path for path in structure.leaves if path.endswith(f".{names[-1]}") and path != ".".join(names)]
    return min(similar_paths, key=len, default=None)


def _count_existing_names(structure: EventStructure, names: Sequence[str]) -> int:
    """Returns how many names at the beginning of a path lead to something in the event, not counting the last one."""
    depth = len(names) - 1
    while depth and not structure.has(".".join(names[:depth])):
        depth -= 1
    return depth


def explain_missing(structure: EventStructure, path: str) -> Mismatch:
    """Explains why there is no value at a path, and suggests the path that may have been meant."""
    containers = structure.containers.get(path)
    if containers:
        return _explain_container(containers)
    names = path.split(".")
    depth = _count_existing_names(structure, names)
    parent = ".".join(names[:depth])
    if depth and parent in structure.leaves and not structure.objects_at(names[:depth]):
        value = structure.leaves[parent][0].value
        json_note = ""
        if isinstance(value, str) and value.lstrip().startswith("{"):
            json_note = ": its JSON is in a string"
        return Mismatch(_OTHER_KIND, f"the field is missing: {parent} is {quote(value)} and has no fields{json_note}")
    if depth and not structure.objects_at(names[:depth]):
        return Mismatch(_OTHER_KIND, f"the field is missing: {parent} is an array without objects")
    location = ""
    if depth < len(names) - 1:
        location = f": {parent or 'the event'} has no {quote(names[depth])}"
    suggestion = _suggest_path(structure, names, depth)
    if suggestion:
        return Mismatch(SIMILAR_NAME_CLOSENESS, f'the field is missing{location}; did you mean "{suggestion}"?')
    return Mismatch(0, f"the field is missing{location}")


def explain_warnings(pattern: Pattern, field: Field, structure: EventStructure) -> str:
    """Returns the warnings about a field of a pattern, as an addition to a reason; or "".

    A field with the name of an operator may be intended, unless the event has a value in place of its object.
    """
    warnings = [warning for warning in pattern.warnings if field.keys == warning.path[: len(field.keys)]]
    warnings += [warning for warning in pattern.warnings if warning.path == field.keys[: len(warning.path)]]
    parent = field.path.rpartition(".")[0]
    if not warnings and parent in structure.leaves:
        hint = suggest_operator_list(field.path)
        if hint:
            return f"; {hint}"
    # A warning about the whole field is in both lists.
    return "".join(f"; {warning.message} ({warning.hint})" for warning in dict.fromkeys(warnings))
