"""Runs the automaton of a regular expression over a text, one letter at a time.

As in JSON Schema, an expression matches a text if it matches any part of it: a match can begin at each character.
"""

from collections.abc import Iterator

from evtool.regex.automaton import Automaton, Follow

# The positions that read the last character. None if the text already matches with any rest.
State = frozenset[int] | None
# The state before the first character. -1 is not a position.
START: State = frozenset([-1])


def begin(automaton: Automaton) -> State:
    """The state before the first character."""
    # An expression that matches the empty text somewhere matches every text.
    if automaton.first.ends or automaton.later.ends:
        return None
    return START


def matches_at_end(automaton: Automaton, state: State) -> bool:
    """Whether the expression matches a text that leads to a state and ends there."""
    if state is None or automaton.later.ends_at_end:
        return True
    return any(follow.ends_at_end for follow in _list_follows(automaton, state))


def read(automaton: Automaton, state: State, letter: int) -> State:
    """The state after one more character."""
    if state is None:
        return None
    reached = set()
    for follow in _list_follows(automaton, state):
        for position in follow.positions:
            if automaton.characters[position] >> letter & 1:
                reached.add(position)
    if any(automaton.follow[position].ends for position in reached):
        return None
    return frozenset(reached)


def _list_follows(automaton: Automaton, state: frozenset[int]) -> Iterator[Follow]:
    """The continuations of a state: those of matches that began earlier, and those of a match that begins here."""
    if state == START:
        yield automaton.first
        return
    yield automaton.later
    for position in state:
        yield automaton.follow[position]
