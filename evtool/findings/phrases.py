"""Parts of sentences that several messages share: shortened texts, lists, locations."""

from collections.abc import Sequence

# Characters. A value in a message is cut to this width, so that the message stays readable.
MAX_WIDTH = 60


def shorten(text: str, width: int = MAX_WIDTH) -> str:
    """Cuts a text to at most `width` characters. The last one of a cut text is an ellipsis."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…"


def list_some(texts: Sequence[str], most: int) -> str:
    """Joins the first `most` texts, and counts the rest: `a, b and 3 more`."""
    listed = ", ".join(texts[:most])
    if len(texts) > most:
        return f"{listed} and {len(texts) - most} more"
    return listed


def format_location(file: str | None, line: int | None, column: int | None) -> str:
    """Returns `file:line:column`, without the parts that are None."""
    return ":".join(str(part) for part in (file, line, column) if part is not None)
