"""`wildcard`: `*` matches any characters, `\\*` a literal star and `\\\\` a literal backslash.

AWS refuses wildcards that are too complex for its engine. The complexity is the largest number of beginnings of the
wildcards of a field that one string can match at the same time:

    wildcard          *ab*a
    `xa` matches      `*` and `*a`
    `xab` matches     `*`, `*ab` and `*ab*`
    `xaba` matches    `*`, `*a`, `*ab*` and `*ab*a`

A set of beginnings is an int with one bit for each position in the wildcards, so that a step from one set to the next
takes a few operations on ints.
"""

from collections.abc import Collection, Sequence
from typing import Any

from evtool.patterns.operators.arguments import ArgumentError, StringTest, Test, require_string, restrict_to_strings

# The limit for the wildcards of a field. The service accepts 7 and refuses 11; event-ruler's documentation names 10.
MAX_COMPLEXITY = 10
# Sets of beginnings. Wildcards with more sets count as too complex: to compute their complexity would take too long.
MAX_STATES = 50_000
# The token of a wildcard character.
STAR = None


def _byte_position(text: str, index: int) -> int:
    # AWS counts bytes.
    return len(text[:index].encode(errors="surrogatepass")) + 1


def tokenize(text: str) -> list[str | None]:
    """Returns the characters of a wildcard without escapes, and STAR for each wildcard character.

    Raises ArgumentError.
    """
    tokens: list[str | None] = []
    index = 0
    while index < len(text):
        char, next_char = text[index], text[index + 1 : index + 2]
        if char == next_char == "*":
            raise ArgumentError(f"Consecutive wildcard characters at pos {_byte_position(text, index)}")
        if char == "\\" and next_char not in ("*", "\\"):
            raise ArgumentError(f"Invalid escape character at pos {_byte_position(text, index)}")
        if char == "\\":
            tokens.append(next_char)
            index += 2
            continue
        if char == "*":
            tokens.append(STAR)
        else:
            tokens.append(char)
        index += 1
    return tokens


def split_literals(text: str) -> list[str]:
    """Returns the texts before, between and after the wildcard characters. Raises ArgumentError."""
    parts = [""]
    for token in tokenize(text):
        if token is STAR:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def build_wildcard_test(text: str) -> StringTest:
    """Returns the test whether a string matches a wildcard. Raises ArgumentError."""
    parts = split_literals(text)
    if len(parts) == 1:
        return parts[0].__eq__
    first, last = parts[0], parts[-1]
    middle = parts[1:-1]

    def matches(value: str) -> bool:
        position, end = len(first), len(value) - len(last)
        # The beginning and the end must not overlap: `a*a` does not match "a".
        if position > end or not value.startswith(first) or not value.endswith(last):
            return False
        # The first occurrence of each part is enough: a later one leaves less for the parts after it.
        for part in middle:
            start = value.find(part, position, end)
            if start < 0:
                return False
            position = start + len(part)
        return True

    return matches


def _count_shared(previous: Sequence[str | None], current: Sequence[str | None]) -> int:
    """Returns how many tokens at the beginning of two wildcards the engine shares: after a star, no letters."""
    after_star = False
    for count, (token, other) in enumerate(zip(previous, current, strict=False)):
        if token != other or (after_star and token is not STAR and token.lower() != token.upper()):
            return count
        after_star = after_star or token is STAR
    return min(len(previous), len(current))


def _find_counted_positions(groups: Sequence[Collection[str]]) -> tuple[list[str | None], int, list[int]]:
    """Returns the tokens of all wildcards with quotes and an end, the positions that count, and the ends of each group.

    Sets of positions are ints, with a bit for each position. A group is one condition: its wildcards share their common
    beginnings and their end.
    """
    tokens: list[str | None] = []
    counted, ends_by_group = 0, []
    for group in groups:
        ends = 0
        previous: list[str | None] = []
        # Sorted, so that wildcards with the same beginning follow each other.
        for text in sorted(group):
            current: list[str | None] = ['"']
            current += tokenize(text)
            current += ['"', ""]
            first, end = _count_shared(previous, current) + 1, len(current) - 1
            counted |= ((1 << end) - (1 << min(first, end))) << len(tokens)
            ends |= 1 << len(tokens) + end
            tokens += current
            previous = current
        ends_by_group.append(ends)
    return tokens, counted, ends_by_group


def _count_ends(state: int, ends_by_group: Sequence[int]) -> int:
    """Returns the number of conditions that match. The wildcards of a condition have one end, which counts once."""
    count = 0
    for ends in ends_by_group:
        if state & ends:
            count += 1
    return count


def is_too_complex(groups: Sequence[Collection[str]]) -> bool:
    """Returns whether the wildcards of one field, in a group for each condition, are too complex for AWS.

    Visits every set of beginnings that some string can match.
    """
    tokens, counted, ends_by_group = _find_counted_positions(groups)
    start, stars = 0, 0
    token_positions: dict[str, int] = {}
    for index, token in enumerate(tokens):
        position = 1 << index
        # The empty token ends a wildcard, so the next position begins one.
        if index == 0 or tokens[index - 1] == "":
            start |= position
        if token is STAR:
            stars |= position
        elif token:
            token_positions[token] = token_positions.get(token, 0) | position
    seen, pending = {start}, [start]
    while pending:
        state = pending.pop()
        # After a star, a position stays valid whatever the next character is.
        loops = state & stars << 1
        expected = [token for token, positions in token_positions.items() if positions & state]
        # "" is any character that no wildcard expects here.
        for token in expected + [""]:
            next_state = (state & token_positions.get(token, 0)) << 1 | loops
            next_state |= (next_state & stars) << 1
            complexity = (next_state & counted).bit_count() + _count_ends(next_state, ends_by_group)
            if complexity > MAX_COMPLEXITY or len(seen) > MAX_STATES:
                return True
            if next_state not in seen:
                seen.add(next_state)
                pending.append(next_state)
    return False


def wildcard(argument: Any) -> Test:
    """`{"wildcard": "arn:aws:s3:::*/logs/*"}`."""
    return restrict_to_strings(build_wildcard_test(require_string(argument, "wildcard match pattern must be a string")))
