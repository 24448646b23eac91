"""Finds the known word that a misspelled one probably stands for."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: object, known: Iterable[object]) -> str | None:
    """The known word nearest to a mistaken one, as a hint, or None when none is near."""
    lower = {str(k).lower(): str(k) for k in known}
    near = get_close_matches(str(word).lower(), lower, n=1, cutoff=0.6)
    return f'did you mean "{lower[near[0]]}"?' if near else None
