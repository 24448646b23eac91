"""Decides whether one regular expression takes everything that another one takes, as `pattern` of JSON Schema has them.

An expression takes a text if it matches any part of it. Both are run side by side over all texts, one character of each
kind that they tell apart at a time.
"""

from typing import NamedTuple

from evtool.regex.automaton import Automaton, Follow, build_automaton
from evtool.regex.syntax import NotPlainError, parse

MAX_PAIRS = 5_000  # of states that are visited


class Containment(NamedTuple):
    """Whether everything is taken; if not, a text that is not. None if it cannot be decided."""

    holds: bool | None
    example: str | None = None


_State = frozenset[int] | None  # the positions that were reached; None if the text is taken, whatever follows
START: _State = frozenset([-1])  # before the first character


def compare_expressions(inner: str, outer: str) -> Containment:
    """Whether `outer` takes every text that `inner` takes."""
    try:
        trees = [parse(expression) for expression in (inner, outer)]
        first, second = (build_automaton(tree, trees) for tree in trees)
    except (NotPlainError, RecursionError):
        return Containment(holds=None)
    start = (_begin(first), _begin(second))
    texts: dict[tuple[_State, _State], str] = {start: ""}
    queue = [start]
    for number, pair in enumerate(queue):  # the queue grows
        if number >= MAX_PAIRS:
            return Containment(holds=None)
        text = texts[pair]
        if _ends(first, pair[0]) and not _ends(second, pair[1]):
            return Containment(holds=False, example=text)
        for letter, example in enumerate(first.letters):
            following = (_read(first, pair[0], letter), _read(second, pair[1], letter))
            if following not in texts and following[1] is not None:
                texts[following] = text + example
                queue.append(following)
    return Containment(holds=True)


def _begin(automaton: Automaton) -> _State:
    return None if automaton.first.ends or automaton.later.ends else START


def _list_follows(automaton: Automaton, state: frozenset[int]) -> list[Follow]:
    """What may come after the text that leads to a state; a match can begin at each character."""
    if state == START:
        return [automaton.first]
    return [automaton.later, *(automaton.follow[position] for position in state)]


def _ends(automaton: Automaton, state: _State) -> bool:
    """Whether a text that leads to a state is taken."""
    if state is None or automaton.later.ends_at_end:
        return True
    return any(follow.ends_at_end for follow in _list_follows(automaton, state))


def _read(automaton: Automaton, state: _State, letter: int) -> _State:
    """The state behind one more character."""
    if state is None:
        return None
    reached = {
        position
        for follow in _list_follows(automaton, state)
        for position in follow.positions
        if automaton.characters[position] >> letter & 1
    }
    return None if any(automaton.follow[position].ends for position in reached) else frozenset(reached)
