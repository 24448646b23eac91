"""A pattern that routes.yaml has as JSON in a string, as templates have it: its check, and locations inside it."""

from collections.abc import Sequence
from typing import Any

from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, find_spans, parse_json
from evtool.readers.locations import locate, pointer_of
from evtool.routes.project import Project


def locate_in_pattern(project: Project, route: str, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
    """The location, as fields of a Finding, of what some keys of a route's pattern lead to, or of its key.

    The pattern may be a mapping or JSON in a string.
    """
    source = project.document.value["routes"][route]["pattern"]
    if isinstance(source, str):
        return PatternText(project, route, source).locate(path, key=key)
    return project.locate(("routes", route, "pattern", *path), key=key)


class PatternText:
    """The JSON text of the pattern of a route."""

    def __init__(self, project: Project, route: str, text: str):
        self._project, self._route, self._text = project, route, text
        self._lines = project.text.decode(errors="replace").removeprefix("\ufeff").split("\n")
        self._line, self._column = project.document.position_of(("routes", route, "pattern"))

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
        pointer = pointer_of(("routes", self._route, "pattern"))
        return Finding(problem.code, message, suggestion=problem.hint, route=self._route, pointer=pointer, **location)

    def locate(self, path: Sequence[str | int], *, key: bool) -> dict[str, Any]:
        """The location of the value that some keys lead to, or of its key; that of the nearest value around it."""
        spans = find_spans(self._text.encode(errors="surrogatepass"))
        steps = list(path)
        while (pointer := pointer_of(steps)) not in spans:
            steps.pop()
        span = spans[pointer]
        at_key = key and len(steps) == len(path) and span.key_line
        position = span[:3] if at_key else (span.line, span.column, span.width)
        return {
            "pointer": pointer_of(("routes", self._route, "pattern", *path)),
            **self._map_position(*position),
        }

    def _map_position(self, line: int, column: int, width: int) -> dict[str, Any]:
        """A position in the JSON as a location in routes.yaml; the start of the string where its form hides it."""
        start = self._lines[self._line - 1][self._column - 1 :]
        source = SourceText(self._project.display_name, 1, 1, self._project.text)
        if start.startswith("|"):  # the lines of the string follow, indented
            content = self._lines[self._line :]
            indent = next((len(text) - len(text.lstrip(" ")) for text in content if text.strip()), 0)
            return locate(source, self._line + line, indent + column, width)
        quotes = 1 if start[:1] in ("'", '"') else 0
        if line == 1 and start[quotes:].startswith(self._text.split("\n")[0]):
            return locate(source, self._line, self._column + quotes + column - 1, width)
        return locate(source, self._line, self._column, 1)
