"""A difference between two versions of a schema, and the directions of compatibility that it breaks."""

from collections.abc import Collection
from typing import NamedTuple

from evtool.schemas.diff.keywords import BACKWARD, FORWARD

DIRECTIONS = (BACKWARD, FORWARD)


class Effect(NamedTuple):
    """The directions that a change breaks, and those that it may break."""

    breaks: tuple[str, ...]
    undecided: tuple[str, ...] = ()

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that it breaks or may break."""
        return self.breaks + self.undecided

    def without(self, directions: Collection[str]) -> "Effect":
        """The effect on the other directions."""
        return Effect(_leave_out(self.breaks, directions), _leave_out(self.undecided, directions))


class Change(NamedTuple):
    """One difference between two schemas.

    It breaks the directions in `breaks`, and may break those in `undecided`. In the directions in `undeclared`, it
    affects only fields that a schema does not declare.
    """

    pointer: str
    kind: str
    breaks: tuple[str, ...]
    message: str
    undecided: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that it breaks or may break."""
        return self.breaks + self.undecided

    def without(self, directions: Collection[str]) -> "Change":
        """The change without its effect on some directions."""
        breaks, undecided = Effect(self.breaks, self.undecided).without(directions)
        return self._replace(breaks=breaks, undecided=undecided)


class SchemaDiff(NamedTuple):
    """The changes between two schemas, and the compatibility in both directions; None if it is undecided."""

    changes: tuple[Change, ...]
    backward: bool | None
    forward: bool | None


def _leave_out(directions: tuple[str, ...], others: Collection[str]) -> tuple[str, ...]:
    return tuple(direction for direction in directions if direction not in others)
