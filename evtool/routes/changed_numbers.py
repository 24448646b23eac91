"""Finds numbers that YAML reads otherwise than they are written, where every event has a string: `account: [0123]`."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from evtool.patterns.compiler import OR
from evtool.routes.project_file import LocatedDocument
from evtool.routes.quick_check import STRING_FIELDS

Path = tuple[str | int, ...]


def find_changed_numbers(
    document: LocatedDocument, text: bytes, pattern: Any, path: Path, *, is_string: bool = False
) -> Iterator[tuple[Path, str, int | float]]:
    """The path of each such number in the pattern at a path, how it is written, and how YAML reads it."""
    if isinstance(pattern, dict | list):
        for key, item in pattern.items() if isinstance(pattern, dict) else enumerate(pattern):
            is_field = is_string or key in STRING_FIELDS
            if is_field or key == OR or isinstance(pattern, list):
                yield from find_changed_numbers(document, text, item, (*path, key), is_string=is_field)
    elif is_string and type(pattern) in (int, float):
        written = read_written(document, text, path)
        is_alias = written.startswith(("*", "!"))  # of a template; its value is written elsewhere
        if written != str(pattern) and not is_alias:
            yield path, written, pattern


def describe_changed_number(written: str, number: float) -> str:
    """What YAML makes of a number, for a message."""
    return f"YAML reads {written} as the number {number}, and every event has a string here"


def read_written(document: LocatedDocument, text: bytes, path: Sequence[str | int]) -> str:
    """The scalar that a path leads to, as it is written in the text of the document."""
    line, column = document.position_of(path)
    source_line = text.decode(errors="replace").removeprefix("\ufeff").split("\n")[line - 1]
    return re.split(r"[\s,\]}]", source_line[column - 1 :])[0]
