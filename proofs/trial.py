"""A trial: what every proof is given, and how it says that a promise does not hold."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

Figures = dict[str, int]  # what was tried and what came of it, as it is printed


class Broken(Exception):
    """The promise does not hold: what was seen instead."""


class Trial(NamedTuple):
    """A folder to work in, the randomness of the seed, and whether a small number must do."""

    folder: Path
    random: Random
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """How many, in the full form and in the quick one."""
        return quick if self.quick else full


Prove = Callable[[Trial], Figures]  # raises Broken


def hold(truth: object, what: str) -> None:
    """Raises Broken unless it is true."""
    if not truth:
        raise Broken(what)
