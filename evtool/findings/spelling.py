"""Suggests the known word that is most similar to a misspelled word."""

import re
from collections.abc import Iterable

# The similarity (0 to 1) from which two names count as spellings of the same name. At 0.75, `orderTotal` and
# `orderTax` would count, too.
_NEAR_RATIO = 0.8


def did_you_mean(word: object, known: Iterable[object]) -> str | None:
    """Returns a hint with the known word that is most similar, or None if no known word is similar."""
    # Imported late: only misspelled words need it, and `validate` has to start fast.
    from difflib import get_close_matches  # noqa: PLC0415

    by_lowercase = {str(name).lower(): str(name) for name in known}
    matches = get_close_matches(str(word).lower(), by_lowercase, n=1, cutoff=0.6)
    if matches:
        return f'did you mean "{by_lowercase[matches[0]]}"?'
    return None


def find_respelled(word: str, known: Iterable[str]) -> str | None:
    """Returns the first known name that differs only in case, in `-` and `_`, or in one letter; or None."""
    for name in known:
        if _is_one_letter_apart(_normalize(word), _normalize(name)):
            return name
    return None


def find_similar(word: str, known: Iterable[str]) -> str | None:
    """Returns the known name of which a word is probably a misspelling, or None.

    `address1` is not a misspelling of `address2`: names that differ only in digits are usually different names.
    """
    names = list(known)
    respelled = find_respelled(word, names)
    if respelled:
        return respelled
    for name in names:
        if _is_similar(word, name):
            return name
    return None


def _normalize(name: str) -> str:
    return re.sub("[-_ ]", "", name.lower())


def _is_one_letter_apart(first: str, second: str) -> bool:
    """Whether the names differ by one letter that is missing, added, replaced or swapped with the next one."""
    if first == second:
        return True
    # Among names of one or two letters, nearly all are one letter apart.
    if min(len(first), len(second)) < 3 or _differ_in_digits(first, second):
        return False
    start = 0
    while first[start : start + 1] == second[start : start + 1] != "":
        start += 1
    rest, other = first[start:], second[start:]
    is_replaced = rest[1:] == other[1:]
    is_added = rest[1:] == other or rest == other[1:]
    is_swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return is_replaced or is_added or is_swapped


def _is_similar(word: str, name: str) -> bool:
    from difflib import SequenceMatcher  # noqa: PLC0415

    if _differ_in_digits(word, name):
        return False
    # quick_ratio() is an upper bound of ratio(), and much cheaper.
    matcher = SequenceMatcher(None, word.lower(), name.lower())
    return matcher.quick_ratio() >= _NEAR_RATIO and matcher.ratio() >= _NEAR_RATIO


def _differ_in_digits(first: str, second: str) -> bool:
    """Whether two names are equal without their digits, such as address1 and address2."""
    return re.sub("[0-9]", "", first) == re.sub("[0-9]", "", second)
