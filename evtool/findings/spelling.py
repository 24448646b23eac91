"""Suggests the known word that is most similar to a misspelled word."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: object, known: Iterable[object]) -> str | None:
    """The known word nearest to a mistaken one, as a hint, or None when none is near."""
    by_lowercase = {str(k).lower(): str(k) for k in known}
    matches = get_close_matches(str(word).lower(), by_lowercase, n=1, cutoff=0.6)
    return f'did you mean "{by_lowercase[matches[0]]}"?' if matches else None
