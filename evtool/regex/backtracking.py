"""Proves that a backtracking engine needs exponential time for a regular expression, with a text for which it does.

The proof has three parts. A position can be reached from itself in two ways by the same text w ("ambiguity"). A text p
leads from the start to it. And after p, many w and one more character, the expression does not match: the engine then
tries both ways for each w. Without all three nothing is said. `(a+)+$` is such an expression, `a+b+` is not.
"""

from collections import deque
from collections.abc import Iterator

from evtool.findings.phrases import shorten
from evtool.regex.automaton import Automaton, Follow, build_automaton
from evtool.regex.syntax import NotPlainError, parse

REPEATS = 30  # of the repeated text in the example
MAX_LENGTH = 500  # characters of an expression

Pair = tuple[int, int]


def find_exponential_text(expression: str) -> str | None:
    """A text that takes a backtracking engine exponential time, described for people; None if none is proven."""
    if len(expression) > MAX_LENGTH:
        return None
    try:
        automaton = build_automaton(parse(expression))
    except (NotPlainError, RecursionError):
        return None
    for position in range(len(automaton.characters)):
        pump = _find_ambiguity(automaton, position)
        prefix = None
        if pump:
            prefix = _find_prefix(automaton, position)
        if pump and prefix is not None:
            for suffix in _list_suffixes(automaton):
                if not _matches(automaton, [*prefix, *(pump * REPEATS), *suffix]):
                    return _describe(automaton, prefix, pump, suffix)
    return None


def is_plain(expression: str) -> bool:
    """Whether the expression can be examined at all."""
    try:
        build_automaton(parse(expression))
    except (NotPlainError, RecursionError):
        return False
    return len(expression) <= MAX_LENGTH


def _find_ambiguity(automaton: Automaton, position: int) -> list[int] | None:
    """Letters that lead from a position back to it in two ways: breadth first, over pairs of positions."""
    start: tuple[Pair, bool] = ((position, position), False)
    texts: dict[tuple[Pair, bool], list[int]] = {start: []}
    pending = deque([start])
    while pending:
        (first, second), is_split = current = pending.popleft()
        for (target, other), letter, has_two_ways in _list_moves(automaton, first, second):
            split = is_split or target != other or has_two_ways
            text = [*texts[current], letter]
            if split and target == other == position:
                return text
            state = ((target, other), split)
            if state not in texts:
                texts[state] = text
                pending.append(state)
    return None


def _list_moves(automaton: Automaton, first: int, second: int) -> Iterator[tuple[Pair, int, bool]]:
    """The pairs of positions that follow a pair by the same letter; each pair once, whatever its order."""
    for target, ways in automaton.follow[first].positions.items():
        for other in automaton.follow[second].positions:
            common = automaton.characters[target] & automaton.characters[other]
            if common and (first != second or target <= other):
                yield (
                    (target, other),
                    _first_letter(automaton, common),
                    first == second and target == other and ways > 1,
                )


def _find_prefix(automaton: Automaton, position: int) -> list[int] | None:
    """Letters that lead from the start to a position."""
    texts: dict[int, list[int]] = {}
    pending: deque[tuple[Follow, list[int]]] = deque([(automaton.first, [])])
    while pending:
        follow, text = pending.popleft()
        for target in follow.positions:
            if target not in texts and automaton.characters[target]:
                texts[target] = [*text, _first_letter(automaton, automaton.characters[target])]
                pending.append((automaton.follow[target], texts[target]))
    return texts.get(position)


def _list_suffixes(automaton: Automaton) -> Iterator[list[int]]:
    """The ends of the text that are tried: characters that the expression has least often, then none."""
    used = [
        sum(characters >> letter & 1 for characters in automaton.characters) for letter in range(len(automaton.letters))
    ]
    printable = [letter for letter, char in enumerate(automaton.letters) if char.isprintable() or char == "\n"]
    for letter in sorted(printable, key=lambda letter: used[letter])[:5]:
        yield [letter] * (2 if automaton.letters[letter] == "\n" else 1)  # some engines pass over a last line end
    yield []


def _matches(automaton: Automaton, text: list[int]) -> bool:
    """Whether the expression matches at the start of a text, all of it or a part."""
    follows = [automaton.first]
    for letter in text:
        if any(follow.ends for follow in follows):
            return True
        targets = {t for follow in follows for t in follow.positions if automaton.characters[t] >> letter & 1}
        follows = [automaton.follow[target] for target in targets]
    return any(follow.ends_at_end for follow in follows)


def _first_letter(automaton: Automaton, characters: int) -> int:
    letters = [letter for letter in range(len(automaton.letters)) if characters >> letter & 1]
    return min(letters, key=lambda letter: not automaton.letters[letter].isalnum())


def _describe(automaton: Automaton, prefix: list[int], pump: list[int], suffix: list[int]) -> str:
    texts = ["".join(automaton.letters[letter] for letter in part) for part in (prefix, pump, suffix)]
    before, repeated, after = (shorten(ascii(text)) for text in texts)
    described = f"{REPEATS} times {repeated}"
    if prefix:
        described = f"{before} and {described}"
    if suffix:
        return f"{described}, then {after}"
    return described
