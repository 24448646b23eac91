"""Compares regular expressions: whether one matches every text that another matches, and texts that several match.

The automata of the expressions read the same text side by side, one letter at a time. The search goes through every
combination of states that they can reach together, breadth first, so an example is as short as possible.

Example: does `a|b` match every text that `^a?$` matches?

    text    ^a?$         a|b
    ""      matches      does not match

The first combination already gives the answer: no, and the example is the empty text. Compared with `^a$` instead of
`^a?$`, the search continues:

    text    ^a$          a|b
    ""      not yet      not yet
    "a"     matches      matches with any rest

No other combination can be reached without a match of `a|b`, so the answer is yes.
"""

from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import NamedTuple

from evtool.regex.automaton import Automaton, build_automaton
from evtool.regex.running import State, begin, matches_at_end, read
from evtool.regex.syntax import NotPlainError, parse

# Combinations of states that the search examines: below a second.
MAX_PAIRS = 5_000
# Characters of a text that is searched.
MAX_LENGTH = 100

States = tuple[State, ...]


class Containment(NamedTuple):
    """Whether one expression matches every text of another; None if that cannot be decided.

    If it does not, `example` is a text that it does not match.
    """

    holds: bool | None
    example: str | None = None


def compare_expressions(inner: Sequence[str], outer: str) -> Containment:
    """Decides whether `outer` matches every text that all of `inner` match."""
    try:
        trees = [parse(expression) for expression in [*inner, outer]]
        automata = [build_automaton(tree, trees) for tree in trees]
    except (NotPlainError, RecursionError):
        return Containment(holds=None)
    last = automata.pop()
    start = (_begin_all(automata), begin(last))
    texts: dict[tuple[States, State], str] = {start: ""}
    queue = [start]
    # The loop appends to the queue that it reads.
    for number, (states, final) in enumerate(queue):
        if number >= MAX_PAIRS:
            return Containment(holds=None)
        text = texts[states, final]
        if _all_match(automata, states) and not matches_at_end(last, final):
            return Containment(holds=False, example=text)
        for letter, example in enumerate(last.letters):
            following = (_read_all(automata, states, letter), read(last, final, letter))
            # Once `outer` matches a text, it matches every continuation: no example can follow.
            if following not in texts and following[1] is not None:
                texts[following] = text + example
                queue.append(following)
    return Containment(holds=True)


def find_common_text(expressions: list[str], min_length: int, max_length: int | None, rng: Random) -> str | None:
    """Finds a short text that all expressions match; None if no such text exists, or if that cannot be decided."""
    try:
        trees = [parse(expression) for expression in expressions]
        automata = [build_automaton(tree, trees) for tree in trees]
    except (NotPlainError, RecursionError):
        return None
    if min_length > MAX_LENGTH:
        return None
    start = (_begin_all(automata), 0)
    # The length is a part of the key only until the text is long enough: from then on the states decide alone.
    texts: dict[tuple[States, int], str] = {start: ""}
    queue = [start]
    letters = list(enumerate(automata[0].letters))
    # The loop appends to the queue that it reads.
    for states, length in islice(queue, MAX_PAIRS):
        text = texts[states, length]
        if len(text) >= min_length and _all_match(automata, states):
            return text
        # A random order of the letters gives another text for another seed.
        rng.shuffle(letters)
        if max_length is not None and len(text) >= max_length:
            continue
        for letter, example in letters:
            key = (_read_all(automata, states, letter), min(len(text) + 1, min_length))
            if key not in texts:
                texts[key] = text + example
                queue.append(key)
    return None


def _begin_all(automata: Sequence[Automaton]) -> States:
    return tuple(begin(automaton) for automaton in automata)


def _read_all(automata: Sequence[Automaton], states: States, letter: int) -> States:
    return tuple(map(read, automata, states, [letter] * len(states)))


def _all_match(automata: Sequence[Automaton], states: States) -> bool:
    return all(map(matches_at_end, automata, states))
