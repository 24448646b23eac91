"""Trial: the input of every proof, and the exception that reports a broken promise."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

# The printed figures of a proof: the description of each number, and the number.
Figures = dict[str, int]


class Broken(Exception):
    """A promise does not hold. The message says what happened instead."""


class Trial(NamedTuple):
    """A folder to work in, a random generator with the seed, and whether the proof runs in its quick form."""

    folder: Path
    random: Random
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """Returns the number for this form of the proof."""
        if self.quick:
            return quick
        return full


# A proof raises Broken.
Prove = Callable[[Trial], Figures]


def hold(truth: object, problem: str) -> None:
    """Raises Broken with this problem unless `truth` is true."""
    if not truth:
        raise Broken(problem)
