"""`wildcard`: `*` stands for any characters, `\\*` for a star and `\\\\` for a backslash."""

from collections.abc import Sequence
from typing import Any

from evtool.patterns.operators.arguments import OperandError, Test, Words, on_strings, string

MAX_COMPLEXITY = 10  # of a field's wildcards; AWS accepts 7 and refuses 11, and its library advises 10
MAX_STATES = 50_000  # beyond, working the complexity out takes too long: the wildcards count as too complex
STAR = None


def _position(text: str, index: int) -> int:
    return len(text[:index].encode(errors="surrogatepass")) + 1  # AWS counts bytes


def tokens_of(text: str) -> list[str | None]:
    """The characters of a wildcard, escapes resolved, with STAR for a wildcard character.

    Raises OperandError.
    """
    tokens: list[str | None] = []
    index = 0
    while index < len(text):
        here, following = text[index], text[index + 1 : index + 2]
        if here == following == "*":
            raise OperandError(f"Consecutive wildcard characters at pos {_position(text, index)}")
        if here == "\\" and following not in ("*", "\\"):
            raise OperandError(f"Invalid escape character at pos {_position(text, index)}")
        tokens.append(STAR if here == "*" else following if here == "\\" else here)
        index += 2 if here == "\\" else 1
    return tokens


def literals_of(text: str) -> list[str]:
    """What stands before, between and after the wildcard characters. Raises OperandError."""
    parts = [""]
    for token in tokens_of(text):
        if token is STAR:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def words_of(text: str) -> Words:
    """The test whether a string matches a wildcard. Nothing is tried twice. Raises OperandError."""
    parts = literals_of(text)
    if len(parts) == 1:
        return parts[0].__eq__
    first, *middle, last = parts

    def matches(value: str) -> bool:
        at, end = len(first), len(value) - len(last)
        if at > end or not value.startswith(first) or not value.endswith(last):
            return False
        for part in middle:
            at = value.find(part, at, end) + len(part)
            if at < len(part):
                return False
        return True

    return matches


def is_too_complex(wildcards: Sequence[str]) -> bool:
    """Whether the wildcards of one field are more than AWS takes.

    The complexity is how many beginnings of the wildcards can match at once, when some value has been read up to some
    character. Every set of beginnings that can occur is visited; a set is an int, with a bit for each beginning.
    """
    tokens = [token for text in wildcards for token in ['"', *tokens_of(text), '"', ""]]
    stars = sum(1 << index for index, token in enumerate(tokens) if token is STAR)
    start = sum(1 << index for index in range(len(tokens)) if index == 0 or tokens[index - 1] == "")
    places: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token:
            places[token] = places.get(token, 0) | 1 << index
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        loops = state & stars << 1
        awaited = {token for token, where in places.items() if where & state}
        for token in [*awaited, ""]:
            after = (state & places.get(token, 0)) << 1 | loops
            after |= (after & stars) << 1
            if after.bit_count() > MAX_COMPLEXITY or len(seen) > MAX_STATES:
                return True
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return False


def wildcard(argument: Any) -> Test:
    """`{"wildcard": "arn:aws:s3:::*/logs/*"}`."""
    return on_strings(words_of(string(argument, "wildcard match pattern must be a string")))
