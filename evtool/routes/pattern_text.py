"""How a file writes the pattern of a route: JSON in a string, numbers that YAML changes, locations inside."""

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

MAX_VARIABLES = 1000  # characters that the variables of a string may be longer than their values
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # the anchor and the tag before a YAML scalar
_BLOCK_HEADER = re.compile(r"(?:[|>]|<<)[^\n]*\n")  # of a YAML block, of a heredoc of Terraform
_CHARACTER = {  # a character of a string, as its form writes it
    '"': re.compile(r'\\(?:x..|u....|U.{8}|.)|[^"\\]', re.DOTALL),
    "'": re.compile(r"''|[^']"),
    "": re.compile(r".", re.DOTALL),
}
_WRITTEN_BLANK = re.compile(r"\\(?:[ntr \n_NLP]|u00(?:20|09|0[aAdD]))")  # an escape of a blank, or of nothing


def locate_in_pattern(project: Project, route: str, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
    """The location, as fields of a Finding, of what some keys of a route's pattern lead to, or of its key.

    The pattern may be a mapping or JSON in a string.
    """
    source = project.document.value["routes"][route]["pattern"]
    written = project.source_of(route).pattern_sources.get(route)
    if isinstance(source, str):
        text = source
    elif written:
        text = written.text
    else:
        text = None
    if text is not None:
        return PatternText(project, route, text).locate(path, key=key)
    return project.locate(("routes", route, "pattern", *path), key=key)


class PatternText:
    """The JSON text of the pattern of a route."""

    def __init__(self, project: Project, route: str, text: str):
        self._project, self._route, self._text = project.source_of(route), route, text
        written = self._project.pattern_sources.get(route)
        self._path = ("routes", route, "pattern", *(written.steps if written else ()))

    def find_problem(self) -> Finding | None:
        """The first thing that is wrong with the text as strict JSON, if anything is, at its place."""
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
        """The location of the value that some keys lead to, or of its key; that of the nearest value around it."""
        spans = _find_spans(self._text)
        steps = list(path)
        while (pointer := pointer_of(steps)) not in spans:
            steps.pop()
        span = spans[pointer]
        at_key = key and len(steps) == len(path) and span.key_line
        if at_key:
            position = span[:3]
        else:
            position = (span.line, span.column, span.width)
        location = self._map_position(*position)
        return {**location, "pointer": location["pointer"] + pointer_of(path)}

    def _map_position(self, line: int, column: int, width: int) -> dict[str, Any]:
        """A position in the JSON as a location in the file; the start of the string where its form hides it."""
        path = self._path
        source = SourceText(self._project.display_name, 1, 1, self._project.text)
        start = self._project.document.position_of(path)
        text = "\n".join(self._project.text.decode(errors="replace").removeprefix("\ufeff").split("\n")[start[0] - 1 :])
        before = "".join(text_line + "\n" for text_line in self._text.split("\n")[: line - 1])
        index = len(before) + column - 1
        offset = _find_offset(text, start[1] - 1, self._text, index)
        if offset is None:  # a variable stands for a part of the text
            offset = _find_only(text, start[1] - 1, self._text[index : index + width], len(self._text))
        pointer = pointer_of(self._project.document.source_path(path))
        if offset is None:
            return {"pointer": pointer, **locate(source, *start, 1)}
        lines = text[:offset].split("\n")
        return {"pointer": pointer, **locate(source, start[0] + len(lines) - 1, len(lines[-1]) + 1, width)}


@lru_cache(maxsize=1)  # the findings and conditions of a pattern ask for the places of the same text
def _find_spans(text: str) -> dict[str, Span]:
    return find_spans(text.encode(errors="surrogatepass"))


def _find_offset(source: str, start: int, text: str, index: int) -> int | None:
    """Where the text of a file has a character of a string that begins at `start`.

    The forms of strings differ in how they write blanks: they indent or fold lines, or write `\\n`. So the visible
    characters are counted, which all forms have in the same order. None if the file has others.
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
    # where the string ends
    if count == len(visible_before):
        return end
    return None


def _find_only(source: str, start: int, part: str, length: int) -> int | None:
    """Where the text of a file, from `start` on, has a part of a string, if it has it once."""
    region = source[start : start + 2 * length + MAX_VARIABLES]
    if len(part) > 1 and region.count(part) == 1:
        return start + region.index(part)
    return None


def _list_characters(source: str, start: int) -> Iterator[tuple[int, str]]:
    """Each character of a string in a file, as it is written, and its offset."""
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
    while character := _CHARACTER[form].match(source, start):
        yield start, character[0]
        start = character.end()


def _is_blank(written: str) -> bool:
    return written.isspace() or _WRITTEN_BLANK.fullmatch(written) is not None


def find_changed_numbers(
    document: LocatedDocument, text: bytes, pattern: Any, path: Path, *, is_string: bool = False
) -> Iterator[tuple[Path, str, int | float]]:
    """Finds numbers in a pattern that YAML reads otherwise than written, where every event has a string: `[0123]`.

    Yields the path of each, how it is written, and how YAML reads it.
    """
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
