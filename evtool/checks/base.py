"""The contract of a check: a function that gets a CheckContext and yields findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.routes.project import Project
from evtool.routes.routes import HandlerEntry, Route
from evtool.schemas.validator import CompiledSchema, Schemas


class CheckContext(NamedTuple):
    """A project as far as it can be read. The problems of the rest are in `findings`, and no check has to repeat them.

    A check locates what it finds with `project.locate(path, key=)` or, inside a pattern, with
    `locate_in_pattern(project, route, path, key=)` of routes/pattern_text.py: both lead into the file with the rule.
    """

    project: Project
    # Those whose pattern compiles, in file order; also disabled ones.
    routes: Mapping[str, Route]
    # Those whose options are valid.
    handlers: Mapping[str, HandlerEntry]
    # None if the project has no schemas.
    schemas: Schemas | None
    # The events of the sample files, valid or not.
    samples: Sequence[Event] = ()
    # Of loading the project: syntax, shape, patterns that do not compile.
    findings: Sequence[Finding] = ()
    # Set by -v: notes of rule sources are shown, too.
    shows_details: bool = False

    @property
    def enabled_routes(self) -> list[Route]:
        """The routes that are not disabled, in file order."""
        return [route for route in self.routes.values() if route.enabled]

    @property
    def schema_entries(self) -> Sequence[tuple[str, str | None]]:
        """The types with a schema, each with the source that the schema is for, or None if it is for every source."""
        if self.schemas is None:
            return ()
        return self.schemas.list_entries()

    def find_schema(self, event_type: str, source: str, payload_key: str = "detail") -> CompiledSchema | None:
        """Returns the schema of a type from a source; None if the type has no schema or it cannot be used.

        `payload_key` is "detail" for EventBridge events and "data" for CloudEvents.
        """
        if self.schemas is None:
            return None
        try:
            return self.schemas.find(event_type, source, payload_key)
        except ConfigError:
            # Another check reports schemas that cannot be used.
            return None


def read_section(project: Project, name: str) -> dict[str, Mapping[str, Any]]:
    """Returns the entries of a section of routes.yaml, such as `routes`, that are mappings; all others are findings."""
    section = project.document.value.get(name)
    if not isinstance(section, Mapping):
        return {}
    return {key: entry for key, entry in section.items() if isinstance(entry, Mapping)}


def list_strings(value: Any) -> list[str]:
    """Returns the strings of a list in routes.yaml; an empty list if the value is not a list, which is a finding."""
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, str)]


def map_fields(branch: Branch) -> dict[str, Field]:
    """Returns the fields of a branch by their paths."""
    return {field.path: field for field in branch}


def is_absence(condition: Condition) -> bool:
    """Whether a condition is `exists: false`."""
    return condition.operator == "exists" and condition.expected is False


class Check(NamedTuple):
    """A row of the table: the function, and the codes (or prefixes of codes) of all findings that it may yield."""

    run: Callable[[CheckContext], Iterator[Finding]]
    codes: tuple[str, ...]
