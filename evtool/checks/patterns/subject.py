"""A field of a pattern with the schemas of the types that its branch matches, and the problems of the field.

The checks ask questions about sets of events. For the condition `{"detail": {"total": ["5"]}}` and the type
`order.created`, whose schema has `total: {type: number}`:

    describe   a schema of all events in which detail.total is "5": {"properties": {"total": {"const": "5"}}}
    combine    this schema and that of the type have no value in common
    result     `never`: no valid event fulfils the condition, so the finding is proven

Where a description is not exact, `from_above` makes it describe more events, and its absence fewer events, so that
neither answer claims more than is proven.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, combinations, pairwise, product
from typing import Any, NamedTuple

from evtool.checks.base import is_absence
from evtool.findings.phrases import list_some
from evtool.patterns.conditions import Field
from evtool.schemas.algebra.conditions import Steps, TooLong, describe_object, split_path
from evtool.schemas.algebra.types import TypeSchema, find_parts, is_impossible, list_names

# Parts of a name with dots for which all ways to join them are tried: there are 2 ** (parts - 1).
MAX_PARTS = 6
# The path of a condition, or of a field, in its pattern.
Keys = tuple[str | int, ...]


class PatternProblem(NamedTuple):
    """One problem of a pattern. The keys lead to its value, or with `at_key` to its key."""

    code: str
    keys: Keys
    message: str
    suggestion: str | None = None
    severity: str = "error"
    at_key: bool = False


class FieldOfTypes(NamedTuple):
    """A field of the payload, and the schemas of all types that its branch matches."""

    field: Field
    # From the payload to the field.
    steps: Steps
    types: tuple[TypeSchema, ...]

    @property
    def is_absence(self) -> bool:
        """Whether the field only asks that no value exists."""
        return all(map(is_absence, self.field.conditions))

    @property
    def type_names(self) -> str:
        """The types, for a message."""
        return list_type_names(self.types)

    def never(self, describe: Callable[[Steps], dict[str, Any]], length: int | None = None) -> bool:
        """Whether no event of any of the types fits what `describe` makes of the steps, or of the first of them."""
        return all(is_impossible(entry.schema, [describe(entry.steps_of(self.steps[:length]))]) for entry in self.types)


def list_type_names(types: Sequence[TypeSchema]) -> str:
    """Lists the first types, for a message. A type with several sources has several schemas."""
    return list_some(list(dict.fromkeys(entry.type for entry in types)), 2)


def find_steps(field: Field, types: Sequence[TypeSchema]) -> Steps | None:
    """Returns the steps from the payload to a field; None if a name has a dot, so that several properties may be meant.

    AWS joins names with dots before it compares them: the pattern `{"detail": {"a.b": [1]}}` matches {"a": {"b": 1}}
    and {"a.b": 1}.
    """
    dotted = set(chain.from_iterable(entry.dotted for entry in types))
    steps = split_path(field.path, dotted)
    if any(map(_has_dot, steps)):
        return None
    readings = _list_readings(field)
    if any(_may_have(entry, readings) for entry in types):
        return None
    return steps[1:]


def _has_dot(step: str) -> bool:
    return "." in step


def _list_readings(field: Field) -> list[Steps]:
    """Lists the steps from the payload to a field for which a name with a dot is one name in the event, too."""
    paths: list[Steps] = [()]
    for key in field.keys:
        if isinstance(key, str) and key != "$or":
            pairs = product(paths, _join_parts(key.split(".")))
            paths = [path + names for path, names in pairs]
    return [path[1:] for path in paths if any(map(_has_dot, path[1:]))]


def _join_parts(parts: Sequence[str]) -> list[Steps]:
    """Lists the ways to join parts: `a.b` is one name, or the names `a` and `b`."""
    if len(parts) > MAX_PARTS:
        return [tuple(parts), (".".join(parts),)]
    joined: list[Steps] = []
    for count in range(len(parts)):
        for cuts in combinations(range(1, len(parts)), count):
            ends = pairwise((0,) + cuts + (len(parts),))
            joined.append(tuple(".".join(parts[start:end]) for start, end in ends))
    return joined


def _may_have(entry: TypeSchema, readings: Sequence[Steps]) -> bool:
    """Whether one of the readings of a path may be in an event of a type."""
    try:
        for steps in readings:
            if not is_impossible(entry.schema, [describe_object(entry.steps_of(steps))]):
                return True
    except TooLong:
        return True
    return False


def list_known_names(subject: FieldOfTypes, steps: Steps) -> list[str]:
    """Lists the names of the properties that the schemas have at some steps in the payload."""
    names: dict[str, None] = {}
    for entry in subject.types:
        names.update(dict.fromkeys(list_names(entry.document, entry.steps_of(steps))))
    return list(names)


def list_schema_parts(subject: FieldOfTypes, steps: Steps) -> list[dict[str, Any]]:
    """Lists the parts of the schemas that describe a value at some steps in the payload."""
    parts: list[dict[str, Any]] = []
    for entry in subject.types:
        parts += find_parts(entry.document, entry.steps_of(steps))
    return parts


def find_other_spelling(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that differs from a name only in case, `-` and `_`; None if there is no such name."""
    for other in known:
        if _normalize(other) == _normalize(name):
            return other
    return None


def _normalize(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def format_path(subject: FieldOfTypes, steps: Steps) -> str:
    """Formats the path of a part of the payload, for a message."""
    return ".".join((subject.types[0].payload_key,) + steps)
