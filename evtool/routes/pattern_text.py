"""Patterns as they are written in a file: JSON in a string, numbers that YAML changes, and locations inside."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from evtool.findings.finding import Finding
from evtool.patterns.compiler import OR
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, Span, find_spans, parse_json
from evtool.readers.locations import locate, pointer_of
from evtool.routes.project import Project
from evtool.routes.project_file import LocatedDocument
from evtool.routes.quick_check import STRING_FIELDS

Path = tuple[str | int, ...]

# Characters by which the variables in a string may be longer than their values.
MAX_VARIABLES = 1000
# The anchor and the tag before a YAML scalar.
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
# The first line of a YAML block scalar, or of a heredoc in Terraform.
_BLOCK_HEADER = re.compile(r"(?:[|>]|<<)[^\n]*\n")
# One character of a string as it is written, by the quote of the string.
_CHARACTER = {
    '"': re.compile(r'\\(?:x..|u....|U.{8}|.)|[^"\\]', re.DOTALL),
    "'": re.compile(r"''|[^']"),
    "": re.compile(r".", re.DOTALL),
}
# An escape sequence of white space, or an escaped line end.
_WRITTEN_BLANK = re.compile(r"\\(?:[ntr \n_NLP]|u00(?:20|09|0[aAdD]))")


def locate_in_pattern(project: Project, route: str, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
    """Returns the location, as fields of a Finding, of the value at a path in a route's pattern, or of its key.

    The pattern may be a mapping, or JSON in a string.
    """
    source = project.document.value["routes"][route]["pattern"]
    written = project.source_of(route).pattern_sources.get(route)
    if isinstance(source, str):
        return PatternText(project, route, source).locate(path, key=key)
    if written:
        return PatternText(project, route, written.text).locate(path, key=key)
    return project.locate(["routes", route, "pattern"] + list(path), key=key)


class PatternText:
    """The JSON text of the pattern of a route."""

    def __init__(self, project: Project, route: str, text: str):
        self._project, self._route, self._text = project.source_of(route), route, text
        self._path: Path = ("routes", route, "pattern")
        written = self._project.pattern_sources.get(route)
        if written:
            self._path += written.steps

    def find_problem(self) -> Finding | None:
        """Returns the first error of the text as strict JSON, with its location; None if there is no error."""
        try:
            parse_json(self._text.encode(errors="surrogatepass"))
        except JsonProblem as error:
            return self._build_finding(error)
        return None

    def _build_finding(self, problem: JsonProblem) -> Finding:
        location = self._map_position(problem.line, problem.column, problem.width)
        message = f"route {self._route}: the pattern is a string, but not valid JSON: {problem.message}"
        return Finding(problem.code, message, suggestion=problem.hint, route=self._route, **location)

    def locate(self, path: Sequence[str | int], *, key: bool) -> dict[str, Any]:
        """Returns the location of the value at a path, or of its key; if there is no such value, that of its parent."""
        spans = _find_spans(self._text)
        steps = list(path)
        while pointer_of(steps) not in spans:
            steps.pop()
        span = spans[pointer_of(steps)]
        if key and len(steps) == len(path) and span.key_line:
            location = self._map_position(span.key_line, span.key_column, span.key_width)
        else:
            location = self._map_position(span.line, span.column, span.width)
        return location | {"pointer": location["pointer"] + pointer_of(path)}

    def _map_position(self, line: int, column: int, width: int) -> dict[str, Any]:
        """Maps a position in the JSON to a location in the file; to the start of the string if it cannot be found."""
        path = self._path
        source = SourceText(self._project.display_name, 1, 1, self._project.text)
        start = self._project.document.position_of(path)
        text = "\n".join(self._project.text.decode(errors="replace").removeprefix("\ufeff").split("\n")[start[0] - 1 :])
        lines_before = self._text.split("\n")[: line - 1]
        index = sum(len(text_line) + 1 for text_line in lines_before) + column - 1
        offset = _find_offset(text, start[1] - 1, self._text, index)
        # In a template, a variable may replace a part of the text.
        if offset is None:
            offset = _find_only(text, start[1] - 1, self._text[index : index + width], len(self._text))
        pointer = pointer_of(self._project.document.source_path(path))
        if offset is None:
            return {"pointer": pointer, **locate(source, *start, 1)}
        lines = text[:offset].split("\n")
        return {"pointer": pointer, **locate(source, start[0] + len(lines) - 1, len(lines[-1]) + 1, width)}


# All findings and conditions of a pattern need the positions in the same text.
@lru_cache(maxsize=1)
def _find_spans(text: str) -> dict[str, Span]:
    return find_spans(text.encode(errors="surrogatepass"))


def _find_offset(source: str, start: int, text: str, index: int) -> int | None:
    """Finds a character of a string in a file. The string starts at `start`, and the character is number `index` of it.

    YAML and HCL write white space in different ways: they indent or fold lines, or write `\\n`. So the other characters
    are counted, which are the same in all ways. Returns None if the file has other characters than the string.
    """
    visible_before = [character for character in text[:index] if not character.isspace()]
    count, end = 0, None
    for offset, written in _list_characters(source, start):
        if _is_blank(written):
            continue
        if count == len(visible_before):
            return offset
        if len(written) == 1 and written != visible_before[count]:
            return None
        count += 1
        end = offset + len(written)
    # The position after the last character.
    if count == len(visible_before):
        return end
    return None


def _find_only(source: str, start: int, part: str, length: int) -> int | None:
    """Finds a part of a string in a file after `start`. Returns None if it does not occur exactly once."""
    region = source[start : start + 2 * length + MAX_VARIABLES]
    if len(part) > 1 and region.count(part) == 1:
        return start + region.index(part)
    return None


def _list_characters(source: str, start: int) -> Iterator[tuple[int, str]]:
    """Yields each character of a string in a file as it is written, after its offset."""
    properties = _PROPERTIES.match(source, start)
    if properties:
        start = properties.end()
    header = _BLOCK_HEADER.match(source, start)
    if header:
        form, start = "", header.end()
    else:
        form = ""
        if source[start : start + 1] in ("'", '"'):
            form = source[start : start + 1]
        start += len(form)
    character = _CHARACTER[form].match(source, start)
    while character:
        yield character.start(), character[0]
        character = _CHARACTER[form].match(source, character.end())


def _is_blank(written: str) -> bool:
    return written.isspace() or _WRITTEN_BLANK.fullmatch(written) is not None


def find_changed_numbers(
    document: LocatedDocument, text: bytes, pattern: Any, path: Path, *, is_string: bool = False
) -> Iterator[tuple[Path, str, int | float]]:
    """Finds numbers that YAML changes in a pattern, for fields that are strings in every event, such as `[0123]`.

    Yields the path of each number, its text in the file, and its value in YAML.
    """
    if isinstance(pattern, dict):
        for key, item in pattern.items():
            is_field = is_string or key in STRING_FIELDS
            if is_field or key == OR:
                yield from find_changed_numbers(document, text, item, path + (key,), is_string=is_field)
    elif isinstance(pattern, list):
        for index, item in enumerate(pattern):
            yield from find_changed_numbers(document, text, item, path + (index,), is_string=is_string)
    elif is_string and type(pattern) in (int, float):
        written = read_written(document, text, path)
        # The value of an alias or a tag is written elsewhere in the template.
        is_alias = written.startswith(("*", "!"))
        if written != str(pattern) and not is_alias:
            yield path, written, pattern


def describe_changed_number(written: str, number: float) -> str:
    """Returns the message for a number that YAML changes."""
    return f"YAML reads {written} as the number {number}, and every event has a string here"


def read_written(document: LocatedDocument, text: bytes, path: Sequence[str | int]) -> str:
    """Returns the scalar at a path as it is written in the text of the document."""
    line, column = document.position_of(path)
    source_line = text.decode(errors="replace").removeprefix("\ufeff").split("\n")[line - 1]
    return re.split(r"[\s,\]}]", source_line[column - 1 :])[0]
