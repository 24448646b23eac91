"""A field of a pattern with the schemas of the types that its branch matches, and what is found wrong with it."""

from collections.abc import Callable, Sequence
from itertools import chain, combinations, pairwise, product, repeat
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some
from evtool.patterns.conditions import Condition, Field
from evtool.schemas.algebra.conditions import Steps, TooLong, describe_object, split_path
from evtool.schemas.algebra.types import TypeSchema, is_impossible, list_names

MAX_PARTS = 6  # of a name with dots that are joined in all ways
Keys = tuple[str | int, ...]


class PatternProblem(NamedTuple):
    """One thing that is wrong with a pattern: the keys that lead to it, or with `at_key` to the key that is wrong."""

    code: str
    keys: Keys
    message: str
    suggestion: str | None = None
    severity: str = "error"
    at_key: bool = False


class FieldOfTypes(NamedTuple):
    """A field of the payload, and the schemas of all types that its branch matches."""

    field: Field
    steps: Steps  # in the payload
    types: tuple[TypeSchema, ...]

    @property
    def is_absence(self) -> bool:
        """Whether the field only asks that there is no value."""
        return all(is_absence(condition) for condition in self.field.conditions)

    @property
    def type_names(self) -> str:
        """The types, for a message."""
        return list_some(list(dict.fromkeys(entry.type for entry in self.types)), 2)

    def never(self, describe: Callable[[Steps], dict[str, Any]], length: int | None = None) -> bool:
        """Whether no event of any of the types fits what `describe` makes of the steps, or of the first of them."""
        return all(is_impossible(entry.schema, [describe(entry.steps_of(self.steps[:length]))]) for entry in self.types)


def is_absence(condition: Condition) -> bool:
    """Whether a condition is `exists: false`."""
    return condition.operator == "exists" and condition.expected is False


def find_steps(field: Field, types: Sequence[TypeSchema]) -> Steps | None:
    """The steps from the payload to a field; None if a name has a dot, so that several properties may be meant."""
    dotted = {name for entry in types for name in entry.dotted}
    steps = split_path(field.path, dotted)
    if any("." in step for step in steps) or any(map(_may_have, types, repeat(_list_readings(field)))):
        return None
    return steps[1:]


def _list_readings(field: Field) -> list[Steps]:
    """The steps from the payload to a field if names with a dot in the pattern are such names in the event, too."""
    names = [key for key in field.keys if isinstance(key, str) and key != "$or"]
    readings = product(*(_join_parts(name.split(".")) for name in names))
    paths = [tuple(chain.from_iterable(reading)) for reading in readings]
    return [path[1:] for path in paths if len(path) > 1 and any("." in step for step in path[1:])]


def _join_parts(parts: Sequence[str]) -> list[Steps]:
    """All names that parts may make: `a.b` is one, or `a` and `b`."""
    if len(parts) > MAX_PARTS:
        return [tuple(parts), (".".join(parts),)]
    ends = chain.from_iterable(combinations(range(1, len(parts)), n) for n in range(len(parts)))
    return [tuple(".".join(parts[i:j]) for i, j in pairwise((0, *cuts, len(parts)))) for cuts in ends]


def _may_have(entry: TypeSchema, readings: Sequence[Steps]) -> bool:
    """Whether one of the readings of a path may be in an event of a type."""
    try:
        return not all(is_impossible(entry.schema, [describe_object(entry.steps_of(steps))]) for steps in readings)
    except TooLong:
        return True


def list_known_names(subject: FieldOfTypes, steps: Steps) -> list[str]:
    """The names of the properties that the schemas have at some steps in the payload."""
    names = [name for entry in subject.types for name in list_names(entry.document, entry.steps_of(steps))]
    return list(dict.fromkeys(names))


def format_path(subject: FieldOfTypes, steps: Steps) -> str:
    """The path of a part of the payload, for a message."""
    return ".".join((subject.types[0].payload_key, *steps))
