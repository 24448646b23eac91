"""Fingerprints of source lines. GitHub code scanning uses them to recognize a result after its line has moved.

GitHub's upload action computes the same value where it is missing, and warns where a tool gives another one. The hash
is a polynomial over the 100 characters from the start of the line on, without blanks, so an edit above does not change
it. Equal hashes in one file are numbered: `271789c17abda88f:1`.

    text    "a b\\nc"              without blanks and with an end: "ab", "c\\uffff"
    blocks  "ab\\nc\\uffff" for line 1, "c\\uffff" for line 2; up to 100 characters, also over the ends of lines
    hash    ((a * 37 + b) * 37 + ...) modulo 2 ** 64
"""

import re
from collections import Counter
from pathlib import Path

# UTF-16 code units from the start of a line: the action is written in JavaScript, which counts these.
BLOCK = 100
FACTOR = 37
END_OF_FILE = "\uffff"
# Bytes of a file. Lines of a larger one have no fingerprints.
MAX_BYTES = 8 * 1024 * 1024


def list_line_blocks(text: str) -> list[tuple[bytes, int]]:
    """Returns the hashed part of each line, and its number among equal ones. A final line end begins one more line."""
    lines = re.sub(r"[ \t]", "", re.sub(r"\r\n|\r", "\n", text)).split("\n")
    units = ("\n".join(lines) + END_OF_FILE).encode("utf-16-le", "surrogatepass")
    counts: Counter[bytes] = Counter()
    blocks = []
    start = 0
    for line in lines:
        block = units[start : start + 2 * BLOCK]
        counts[block] += 1
        blocks.append((block, counts[block]))
        start += len((line + "\n").encode("utf-16-le", "surrogatepass"))
    return blocks


def format_fingerprint(block: bytes, number: int) -> str:
    """Computes the fingerprint of a line from its hashed part and its number among equal ones."""
    value = 0
    # A block at the end of the file counts as if zeros followed it.
    for position in range(0, 2 * BLOCK, 2):
        value = value * FACTOR + int.from_bytes(block[position : position + 2], "little")
    return f"{value % 2**64:x}:{number}"


class LineHashes:
    """The fingerprints of the lines of several files, each read once."""

    def __init__(self) -> None:
        self._files: dict[Path, list[tuple[bytes, int]]] = {}

    def get(self, file: Path, line: int) -> str | None:
        """Returns the fingerprint of a line, counted from 1; None if the file cannot be read or is too large."""
        if file not in self._files:
            self._files[file] = _read_blocks(file)
        blocks = self._files[file]
        if line > len(blocks):
            return None
        block, number = blocks[line - 1]
        return format_fingerprint(block, number)


def _read_blocks(file: Path) -> list[tuple[bytes, int]]:
    try:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            return []
        return list_line_blocks(file.read_bytes().decode(errors="replace"))
    except (OSError, ValueError):
        # A ValueError is a name that no file can have, such as one with a null character.
        return []
