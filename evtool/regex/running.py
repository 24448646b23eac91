"""Runs a regular expression over a text as JSON Schema does: it takes the text if it matches any part of it."""

from evtool.regex.automaton import Automaton, Follow

State = frozenset[int] | None  # the positions that were reached; None if the text is taken, whatever follows
START: State = frozenset([-1])  # before the first character


def begin(automaton: Automaton) -> State:
    """The state before the first character."""
    if automaton.first.ends or automaton.later.ends:
        return None
    return START


def _list_follows(automaton: Automaton, state: frozenset[int]) -> list[Follow]:
    """What may come after the text that leads to a state; a match can begin at each character."""
    if state == START:
        return [automaton.first]
    return [automaton.later, *(automaton.follow[position] for position in state)]


def ends(automaton: Automaton, state: State) -> bool:
    """Whether a text that leads to a state is taken."""
    if state is None or automaton.later.ends_at_end:
        return True
    return any(follow.ends_at_end for follow in _list_follows(automaton, state))


def read(automaton: Automaton, state: State, letter: int) -> State:
    """The state behind one more character."""
    if state is None:
        return None
    reached = {
        position
        for follow in _list_follows(automaton, state)
        for position in follow.positions
        if automaton.characters[position] >> letter & 1
    }
    if any(automaton.follow[position].ends for position in reached):
        return None
    return frozenset(reached)
