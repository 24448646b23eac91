"""Parts of sentences that several messages share: shortened texts, lists, locations."""

from collections.abc import Sequence

MAX_WIDTH = 60  # characters of a value that a message repeats


def shorten(text: str, width: int = MAX_WIDTH) -> str:
    """A text with no more than `width` characters."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…"


def list_some(texts: Sequence[str], most: int) -> str:
    """The first texts of a list, and how many more there are: `a, b and 3 more`."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def format_location(file: str | None, line: int | None, column: int | None) -> str:
    """`file:line:column`, as far as they are known."""
    return ":".join(str(part) for part in (file, line, column) if part is not None)
