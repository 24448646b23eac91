"""The contract of a check: what it gets, and that it yields findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.routes.project import Project
from evtool.routes.routes import HandlerEntry, Route
from evtool.schemas.validator import CompiledSchema, Schemas


class CheckContext(NamedTuple):
    """A project as far as it can be read: what is wrong with the rest is in `findings`, and no check has to repeat it.

    A check locates what it finds with `project.locate(path, key=)` or, inside a pattern, with
    `locate_in_pattern(project, route, path, key=)` of routes/pattern_text.py: both lead into the file with the rule.
    """

    project: Project
    routes: Mapping[str, Route]  # those whose pattern compiles, in file order; also disabled ones
    handlers: Mapping[str, HandlerEntry]  # those whose options are valid
    schemas: Schemas | None  # None if the project has no schemas
    samples: Sequence[Event] = ()  # the events of the sample files, valid or not
    findings: Sequence[Finding] = ()  # of loading the project: syntax, shape, patterns that do not compile
    shows_details: bool = False  # with -v: cases that cannot be decided may be shown as notes

    @property
    def enabled_routes(self) -> list[Route]:
        """The routes that are not disabled, in file order."""
        return [route for route in self.routes.values() if route.enabled]

    def find_schema(self, event_type: str, source: str, payload_key: str = "detail") -> CompiledSchema | None:
        """The schema of a type from a source; None if there is none or it cannot be used, which another check reports.

        `payload_key` is "detail" for EventBridge events and "data" for CloudEvents.
        """
        try:
            if self.schemas:
                return self.schemas.find(event_type, source, payload_key)
            return None
        except ConfigError:
            return None


def read_section(project: Project, name: str) -> dict[str, Mapping[str, Any]]:
    """The entries of a section of routes.yaml, such as `routes`, that are mappings; all others are findings."""
    section = project.document.value.get(name)
    entries = section.items() if isinstance(section, Mapping) else ()
    return {key: entry for key, entry in entries if isinstance(entry, Mapping)}


class Check(NamedTuple):
    """A row of the table: the function, and the codes (or prefixes of codes) of all findings that it may yield."""

    run: Callable[[CheckContext], Iterator[Finding]]
    codes: tuple[str, ...]
