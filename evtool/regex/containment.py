"""Compares regular expressions: whether one takes every text that another one takes, and texts that several take.

They are run side by side over all texts, one character of each kind that they tell apart at a time.
"""

from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import NamedTuple

from evtool.regex.automaton import build_automaton
from evtool.regex.running import State, begin, ends, read
from evtool.regex.syntax import NotPlainError, parse

MAX_PAIRS = 5_000  # of states that are visited
MAX_LENGTH = 100  # of a text that is searched


class Containment(NamedTuple):
    """Whether everything is taken; if not, a text that is not. None if it cannot be decided."""

    holds: bool | None
    example: str | None = None


def compare_expressions(inner: Sequence[str], outer: str) -> Containment:
    """Whether `outer` takes every text that all of `inner` take."""
    try:
        trees = [parse(expression) for expression in (*inner, outer)]
        *automata, last = (build_automaton(tree, trees) for tree in trees)
    except (NotPlainError, RecursionError):
        return Containment(holds=None)
    start = (tuple(map(begin, automata)), begin(last))
    texts: dict[tuple[tuple[State, ...], State], str] = {start: ""}
    queue = [start]
    for number, (states, final) in enumerate(queue):  # the queue grows
        if number >= MAX_PAIRS:
            return Containment(holds=None)
        text = texts[states, final]
        if all(map(ends, automata, states)) and not ends(last, final):
            return Containment(holds=False, example=text)
        for letter, example in enumerate(last.letters):
            reached = tuple(read(automaton, state, letter) for automaton, state in zip(automata, states, strict=True))
            following = (reached, read(last, final, letter))
            if following not in texts and following[1] is not None:
                texts[following] = text + example
                queue.append(following)
    return Containment(holds=True)


def find_common_text(expressions: list[str], min_length: int, max_length: int | None, rng: Random) -> str | None:
    """A short text that all expressions take; None if there is none, or if it cannot be decided."""
    try:
        trees = [parse(expression) for expression in expressions]
        automata = [build_automaton(tree, trees) for tree in trees]
    except (NotPlainError, RecursionError):
        return None
    if min_length > MAX_LENGTH:
        return None
    start = (tuple(map(begin, automata)), 0)
    texts: dict[tuple[tuple[State, ...], int], str] = {start: ""}  # by the states, and by the length while it matters
    queue = [start]
    letters = list(enumerate(automata[0].letters))
    for states, length in islice(queue, MAX_PAIRS):  # the queue grows
        text = texts[states, length]
        if len(text) >= min_length and all(map(ends, automata, states)):
            return text
        rng.shuffle(letters)
        for letter, example in letters if max_length is None or len(text) < max_length else ():
            following = tuple(read(a, state, letter) for a, state in zip(automata, states, strict=True))
            key = (following, min(len(text) + 1, min_length))
            if key not in texts:
                texts[key] = text + example
                queue.append(key)
    return None
