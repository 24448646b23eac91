"""Proves that a backtracking engine needs exponential time for a regular expression, and gives a text that shows it.

The proof has three parts, here for `^(a+)+$`:

- Ambiguity: one text leads from a position back to it in two ways. `a` leads from the `a` to itself by the inner `+`
  and by the outer `+`.
- Prefix: a text leads from the start to this position. Here it is `a`.
- Suffix: the prefix, many repetitions of the ambiguous text, and one more character do not match together. `aaaa...a!`
  does not match, because `!` does not.

The engine then tries both ways for each repetition: 2 ** 30 attempts for 30 of them. Without all three parts nothing
is reported. `a+b+` has no ambiguity: each `a` can follow the previous one in one way only.
"""

from collections import deque
from collections.abc import Iterator

from evtool.findings.phrases import shorten
from evtool.regex.automaton import Automaton, Follow, build_automaton
from evtool.regex.syntax import NotPlainError, parse

# Repetitions of the ambiguous text in the example: 2 ** 30 attempts take minutes in every engine.
REPEATS = 30
# Characters of an expression. The search is quadratic in its positions.
MAX_LENGTH = 500
# Suffixes that are tried. One character that the expression does not use is enough in nearly all cases.
MAX_SUFFIXES = 5

Pair = tuple[int, int]


def find_exponential_text(expression: str) -> str | None:
    """Describes a text that takes a backtracking engine exponential time; None if none is proven."""
    if len(expression) > MAX_LENGTH:
        return None
    try:
        automaton = build_automaton(parse(expression))
    except (NotPlainError, RecursionError):
        return None
    for position in range(len(automaton.characters)):
        pump = _find_ambiguity(automaton, position)
        if pump is None:
            continue
        prefix = _find_prefix(automaton, position)
        if prefix is None:
            continue
        for suffix in _list_suffixes(automaton):
            if not _matches(automaton, prefix + pump * REPEATS + suffix):
                return _describe(automaton, prefix, pump, suffix)
    return None


def is_plain(expression: str) -> bool:
    """Whether `find_exponential_text` can examine an expression."""
    try:
        build_automaton(parse(expression))
    except (NotPlainError, RecursionError):
        return False
    return len(expression) <= MAX_LENGTH


def _find_ambiguity(automaton: Automaton, position: int) -> list[int] | None:
    """Letters that lead from a position back to it in two ways.

    Follows two ways at once, breadth first, so the shortest text is found. They are split once they differ.
    """
    start: tuple[Pair, bool] = ((position, position), False)
    texts: dict[tuple[Pair, bool], list[int]] = {start: []}
    pending = deque([start])
    while pending:
        current = pending.popleft()
        (first, second), is_split = current
        for (target, other), letter, has_two_ways in _list_moves(automaton, first, second):
            split = is_split or target != other or has_two_ways
            text = texts[current] + [letter]
            if split and target == other == position:
                return text
            state = ((target, other), split)
            if state not in texts:
                texts[state] = text
                pending.append(state)
    return None


def _list_moves(automaton: Automaton, first: int, second: int) -> Iterator[tuple[Pair, int, bool]]:
    """The pairs of positions that follow a pair by one letter, the letter, and whether two ways lead there.

    From a pair of equal positions, each pair is listed once: (1, 2) and (2, 1) are the same.
    """
    for target, ways in automaton.follow[first].positions.items():
        for other in automaton.follow[second].positions:
            common = automaton.characters[target] & automaton.characters[other]
            if common and (first != second or target <= other):
                has_two_ways = first == second and target == other and ways > 1
                yield (target, other), _first_letter(automaton, common), has_two_ways


def _find_prefix(automaton: Automaton, position: int) -> list[int] | None:
    """Letters that lead from the start to a position."""
    texts: dict[int, list[int]] = {}
    pending: deque[tuple[Follow, list[int]]] = deque([(automaton.first, [])])
    while pending:
        follow, text = pending.popleft()
        for target in follow.positions:
            # A class such as `[^\s\S]` has no character, so nothing leads through its position.
            if target not in texts and automaton.characters[target]:
                texts[target] = text + [_first_letter(automaton, automaton.characters[target])]
                pending.append((automaton.follow[target], texts[target]))
    return texts.get(position)


def _list_suffixes(automaton: Automaton) -> Iterator[list[int]]:
    """The suffixes to try: the letters that the fewest positions use, then the empty text."""
    usage: dict[int, int] = {}
    for letter, char in enumerate(automaton.letters):
        if char.isprintable() or char == "\n":
            usage[letter] = sum(characters >> letter & 1 for characters in automaton.characters)
    for letter in sorted(usage, key=usage.__getitem__)[:MAX_SUFFIXES]:
        # `$` also matches before a last line feed in some engines, so that one line feed would not make them fail.
        if automaton.letters[letter] == "\n":
            yield [letter, letter]
        else:
            yield [letter]
    yield []


def _matches(automaton: Automaton, text: list[int]) -> bool:
    """Whether the expression matches at the start of a text, all of it or a part."""
    follows = [automaton.first]
    for letter in text:
        if any(follow.ends for follow in follows):
            return True
        targets = _list_targets(automaton, follows, letter)
        follows = [automaton.follow[target] for target in targets]
    return any(follow.ends_at_end for follow in follows)


def _list_targets(automaton: Automaton, follows: list[Follow], letter: int) -> set[int]:
    """The positions that read a letter, out of those that can come next."""
    targets = set()
    for follow in follows:
        for target in follow.positions:
            if automaton.characters[target] >> letter & 1:
                targets.add(target)
    return targets


def _first_letter(automaton: Automaton, characters: int) -> int:
    """One of some letters, rather a letter or digit of the alphabet than punctuation."""
    letters = [letter for letter in range(len(automaton.letters)) if characters >> letter & 1]
    for letter in letters:
        if automaton.letters[letter].isalnum():
            return letter
    return letters[0]


def _describe(automaton: Automaton, prefix: list[int], pump: list[int], suffix: list[int]) -> str:
    described = f"{REPEATS} times {_spell(automaton, pump)}"
    if prefix:
        described = f"{_spell(automaton, prefix)} and {described}"
    if suffix:
        return f"{described}, then {_spell(automaton, suffix)}"
    return described


def _spell(automaton: Automaton, text: list[int]) -> str:
    return shorten(ascii("".join(automaton.letters[letter] for letter in text)))
