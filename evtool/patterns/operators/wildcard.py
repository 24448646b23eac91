"""`wildcard`: `*` matches any characters, `\\*` a literal star and `\\\\` a literal backslash."""

from collections.abc import Collection, Sequence
from typing import Any

from evtool.patterns.operators.arguments import ArgumentError, StringTest, Test, require_string, restrict_to_strings

MAX_COMPLEXITY = 10  # of a field's wildcards; AWS accepts 7 and refuses 11, and its library advises 10
MAX_STATES = 50_000  # beyond, working the complexity out takes too long: the wildcards count as too complex
STAR = None


def _byte_position(text: str, index: int) -> int:
    return len(text[:index].encode(errors="surrogatepass")) + 1  # AWS counts bytes


def tokenize(text: str) -> list[str | None]:
    """The characters of a wildcard, escapes resolved, with STAR for a wildcard character.

    Raises OperandError.
    """
    tokens: list[str | None] = []
    index = 0
    while index < len(text):
        char, next_char = text[index], text[index + 1 : index + 2]
        if char == next_char == "*":
            raise ArgumentError(f"Consecutive wildcard characters at pos {_byte_position(text, index)}")
        if char == "\\" and next_char not in ("*", "\\"):
            raise ArgumentError(f"Invalid escape character at pos {_byte_position(text, index)}")
        tokens.append(STAR if char == "*" else next_char if char == "\\" else char)
        if char == "\\":
            index += 2
        else:
            index += 1
    return tokens


def split_literals(text: str) -> list[str]:
    """What stands before, between and after the wildcard characters. Raises OperandError."""
    parts = [""]
    for token in tokenize(text):
        if token is STAR:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def build_wildcard_test(text: str) -> StringTest:
    """The test whether a string matches a wildcard. Nothing is tried twice. Raises OperandError."""
    parts = split_literals(text)
    if len(parts) == 1:
        return parts[0].__eq__
    first, *middle, last = parts

    def matches(value: str) -> bool:
        position, end = len(first), len(value) - len(last)
        if position > end or not value.startswith(first) or not value.endswith(last):
            return False
        for part in middle:
            position = value.find(part, position, end) + len(part)
            if position < len(part):
                return False
        return True

    return matches


def _count_shared(previous: Sequence[str | None], current: Sequence[str | None]) -> int:
    """How many tokens at the beginning of two wildcards the engine keeps once: after a star none that has case."""
    after_star = False
    for count, (token, other) in enumerate(zip(previous, current, strict=False)):
        if token != other or (after_star and token is not STAR and token.lower() != token.upper()):
            return count
        after_star = after_star or token is STAR
    return min(len(previous), len(current))


def _find_counted_positions(groups: Sequence[Collection[str]]) -> tuple[list[str | None], int, list[int]]:
    """The tokens of all wildcards, each in quotes and with an end; the positions that count; the ends of each group.

    Positions are bits. A group is one condition: its wildcards share their common beginnings, and all have one end.
    """
    tokens: list[str | None] = []
    counted, ends_by_group = 0, []
    for group in groups:
        ends = 0
        previous: list[str | None] = []
        for text in sorted(group):  # wildcards with the same beginning follow each other
            current = ['"', *tokenize(text), '"', ""]
            first, end = _count_shared(previous, current) + 1, len(current) - 1
            counted |= ((1 << end) - (1 << min(first, end))) << len(tokens)
            ends |= 1 << len(tokens) + end
            tokens += current
            previous = current
        ends_by_group.append(ends)
    return tokens, counted, ends_by_group


def is_too_complex(groups: Sequence[Collection[str]]) -> bool:
    """Whether the wildcards of one field, in groups of one condition each, are more than AWS takes.

    The complexity is how many beginnings of the wildcards can match at once, when some value has been read up to some
    character. Every set of beginnings that can occur is visited; a set is an int, with a bit for each beginning.
    """
    tokens, counted, ends_by_group = _find_counted_positions(groups)
    stars = sum(1 << index for index, token in enumerate(tokens) if token is STAR)
    start = sum(1 << index for index in range(len(tokens)) if index == 0 or tokens[index - 1] == "")
    token_positions: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token:
            token_positions[token] = token_positions.get(token, 0) | 1 << index
    seen, pending = {start}, [start]
    while pending:
        state = pending.pop()
        loops = state & stars << 1
        expected = {token for token, positions in token_positions.items() if positions & state}
        for token in [*expected, ""]:
            next_state = (state & token_positions.get(token, 0)) << 1 | loops
            next_state |= (next_state & stars) << 1
            complexity = (next_state & counted).bit_count() + sum(1 for ends in ends_by_group if next_state & ends)
            if complexity > MAX_COMPLEXITY or len(seen) > MAX_STATES:
                return True
            if next_state not in seen:
                seen.add(next_state)
                pending.append(next_state)
    return False


def wildcard(argument: Any) -> Test:
    """`{"wildcard": "arn:aws:s3:::*/logs/*"}`."""
    return restrict_to_strings(build_wildcard_test(require_string(argument, "wildcard match pattern must be a string")))
