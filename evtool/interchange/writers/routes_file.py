"""Writes routes and handlers as a routes.yaml, or adds them to one whose other lines stay as they are."""

import re
from collections.abc import Mapping
from typing import Any

from evtool.errors import ConfigError, UsageError
from evtool.interchange.writers.yaml_text import dump_yaml
from evtool.readers.yaml_text import load_yaml

SECTIONS = ("buses", "handlers", "routes")
_EMPTY = r":[ \t]*(\{[ \t]*\}|~|null)?[ \t]*(#.*)?$"
_TOP_KEY = re.compile(r"[^\s#]")


def format_routes_file(content: Mapping[str, Any]) -> str:
    """Returns the text of a routes.yaml, with a blank line before each section."""
    return "\n".join(dump_yaml({key: value}) for key, value in content.items())


def add_to_routes_file(text: str, added: Mapping[str, Mapping[str, Any]], file: str) -> str:
    """Returns the text of a routes.yaml with more entries in its sections; `file` is its name in messages.

    Raises UsageError if a section is not written in a form that can be added to.
    """
    wanted = dict(load_yaml(text.encode(), file).value)
    for section in SECTIONS:
        entries = added.get(section)
        if entries:
            text = _add_entries(text, section, entries)
            wanted[section] = {**(wanted.get(section) or {}), **entries}
    try:
        is_right = load_yaml(text.encode(), file).value == wanted
    except ConfigError:
        is_right = False
    if not is_right:
        raise UsageError(
            f"{file}: nothing can be added to its handlers or routes; write these with one entry per line, "
            "or import into another file with --to"
        )
    return text


def _add_entries(text: str, section: str, entries: Mapping[str, Any]) -> str:
    lines = text.rstrip().split("\n")
    head = re.compile(rf"""(["']?){section}\1{_EMPTY}""")
    start = _find_line(lines, head, 0)
    if start == len(lines):
        return "\n".join(lines + ["", dump_yaml({section: entries})])
    lines[start] = re.sub(r":[ \t]*(\{[ \t]*\}|~|null)", ":", lines[start], count=1)
    end = _find_line(lines, _TOP_KEY, start + 1)
    # Comments and blank lines before the next section belong to that section.
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    indent = _find_indent(lines[start + 1 : end])
    block: list[str] = []
    for line in dump_yaml(dict(entries)).rstrip("\n").split("\n"):
        if line:
            block.append(indent + line)
        else:
            block.append(line)
    return "\n".join(lines[:end] + block + lines[end:]) + "\n"


def _find_line(lines: list[str], pattern: re.Pattern[str], start: int) -> int:
    """Returns the number of the first line from `start` that matches; the number of lines if none does."""
    for number in range(start, len(lines)):
        if pattern.match(lines[number]):
            return number
    return len(lines)


def _find_indent(lines: list[str]) -> str:
    """Returns the indentation of the entries in a section; two blanks if the section has no entry."""
    for line in lines:
        entry = line.lstrip()
        if entry and not entry.startswith("#"):
            return line[: len(line) - len(entry)] or "  "
    return "  "
