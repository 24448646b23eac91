"""Suggests the known word that is most similar to a misspelled word."""

import re
from collections.abc import Iterable

_NEAR_RATIO = 0.8  # similarity from which two names are taken for spellings of the same one


def did_you_mean(word: object, known: Iterable[object]) -> str | None:
    """The known word nearest to a mistaken one, as a hint, or None when none is near."""
    from difflib import get_close_matches  # noqa: PLC0415  (only mistakes need it)

    by_lowercase = {str(k).lower(): str(k) for k in known}
    matches = get_close_matches(str(word).lower(), by_lowercase, n=1, cutoff=0.6)
    if matches:
        return f'did you mean "{by_lowercase[matches[0]]}"?'
    return None


def find_respelled(word: str, known: Iterable[str]) -> str | None:
    """The known name that differs from a word only in case, in `-` and `_`, or in one letter; or None."""
    return next((name for name in known if _is_one_letter_apart(_normalize(word), _normalize(name))), None)


def find_similar(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word is probably a misspelling of, or None. Names that differ in digits are other names."""
    names = list(known)
    return find_respelled(word, names) or next((name for name in names if _is_similar(word, name)), None)


def _normalize(name: str) -> str:
    return re.sub("[-_ ]", "", name.lower())


def _is_one_letter_apart(first: str, second: str) -> bool:
    """Whether at most one letter was left out, added, replaced or exchanged with the next one."""
    if first == second:
        return True
    if min(len(first), len(second)) < 3 or _differ_in_digits(first, second):
        return False
    start = 0
    while first[start : start + 1] == second[start : start + 1] != "":
        start += 1
    rest, other = first[start:], second[start:]
    is_exchanged = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or is_exchanged


def _is_similar(word: str, name: str) -> bool:
    from difflib import SequenceMatcher  # noqa: PLC0415  (only mistakes need it)

    matcher = SequenceMatcher(None, word.lower(), name.lower())
    return not _differ_in_digits(word, name) and matcher.quick_ratio() >= _NEAR_RATIO <= matcher.ratio()


def _differ_in_digits(first: str, second: str) -> bool:
    """Whether two names are the same but for their digits, such as address1 and address2."""
    return re.sub("[0-9]", "", first) == re.sub("[0-9]", "", second)
