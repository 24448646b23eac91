"""The fingerprint of a source line by which GitHub code scanning recognizes a result although its line has moved.

GitHub's upload action computes the same value where it is missing, and warns where a tool gives another one. The hash
is a polynomial over the 100 characters from the start of the line on, without blanks, so an edit above does not change
it.
Equal hashes in one file are numbered: `271789c17abda88f:1`.
"""

import re
from collections import Counter
from pathlib import Path

BLOCK = 100  # UTF-16 code units from the start of a line
FACTOR = 37
END_OF_FILE = "\uffff"
MAX_BYTES = 8 * 1024 * 1024  # of a file; larger ones get no fingerprints


def list_line_blocks(text: str) -> list[tuple[bytes, int]]:
    """The hashed part of each line, and how often it has occurred so far. A final line end begins one more line."""
    lines = re.sub(r"[ \t]", "", re.sub(r"\r\n|\r", "\n", text)).split("\n")
    units = "\n".join([*lines[:-1], lines[-1] + END_OF_FILE]).encode("utf-16-le", "surrogatepass")
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
    """The fingerprint of a line from its hashed part and its number among equal ones."""
    value = 0
    for position in range(0, 2 * BLOCK, 2):  # a block at the end of the file is filled with zeros
        value = value * FACTOR + int.from_bytes(block[position : position + 2], "little")
    return f"{value % 2**64:x}:{number}"


class LineHashes:
    """The fingerprints of the lines of several files, each read once."""

    def __init__(self) -> None:
        self._files: dict[Path, list[tuple[bytes, int]]] = {}

    def get(self, file: Path, line: int) -> str | None:
        """The fingerprint of a line, counted from 1; None if the file cannot be read or is too large."""
        if file not in self._files:
            self._files[file] = _read_blocks(file)
        blocks = self._files[file]
        if line <= len(blocks):
            return format_fingerprint(*blocks[line - 1])
        return None


def _read_blocks(file: Path) -> list[tuple[bytes, int]]:
    try:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            return []
        return list_line_blocks(file.read_bytes().decode(errors="replace"))
    except (OSError, ValueError):  # a name that no file can have
        return []
