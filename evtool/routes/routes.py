"""The routes and handlers of routes.yaml as typed values, and which routes match an event."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evtool.errors import ConfigError, RoutesError, UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.events.input_transformer import CompiledInput, compile_input
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import Handler, HandlerOptions
from evtool.handlers.plugins.kinds import find_kind, open_handler
from evtool.patterns.pattern import Pattern
from evtool.routes import project as project_file
from evtool.routes.models import Retry
from evtool.routes.problems import read_model
from evtool.routes.project import Project, without_gc
from evtool.routes.router import Key, Router


class Route(NamedTuple):
    """A compiled route. With an `event_bus` it takes only the events of that bus, else those of every bus."""

    name: str
    pattern: Pattern
    to: tuple[str, ...]
    retry: Retry = Retry()
    enabled: bool = True
    description: str = ""
    input: CompiledInput | None = None
    event_bus: str | None = None


class HandlerEntry(NamedTuple):
    """A handler of routes.yaml: its kind, its options, and the folder that its paths refer to."""

    name: str
    kind: str
    options: HandlerOptions
    folder: Path

    @property
    def is_external(self) -> bool:
        """Whether it runs elsewhere, so that evtool makes no delivery to it."""
        return self.kind == "external"

    def open(self) -> Handler:
        """Opens the handler. The caller closes it."""
        return open_handler(self.kind, self.name, self.options, self.folder)


class Routes:
    """The routes and handlers of one routes.yaml. `warnings` are findings that do not prevent its use."""

    def __init__(
        self,
        routes: Sequence[Route],
        handlers: Mapping[str, HandlerEntry] | None = None,
        warnings: Sequence[Finding] = (),
    ):
        self.warnings = tuple(warnings)
        self.routes = {route.name: route for route in routes}
        self.handlers = dict(handlers or {})
        self._enabled = [route for route in routes if route.enabled]
        self._has_buses = any(route.event_bus is not None for route in self._enabled)
        self.event_buses = frozenset(route.event_bus for route in routes if route.event_bus is not None)
        self._router = Router([route.pattern for route in self._enabled])
        self.has_unknown_values = any(route.pattern.unknowns for route in self._enabled)
        self.has_external_handlers = any(handler.is_external for handler in self.handlers.values())

    @classmethod
    def load(cls, file: str | Path = project_file.ROUTES_FILE) -> "Routes":
        """Loads the routes of a file. Raises RoutesError, whose findings have all problems with their locations."""
        try:
            return load_routes(project_file.require_project(str(file)))
        except ConfigError as error:
            raise RoutesError(str(error), error.findings) from None
        except UsageError as error:
            raise RoutesError(f"{file} cannot be read", [Finding("EV001", str(error), file=str(file))]) from None

    def match(self, event: Mapping[str, Any] | str | bytes, bus: str = DEFAULT_BUS) -> list[Route]:
        """Returns the enabled routes that take an event of a bus, in the order of the file.

        JSON text is matched more exactly than a dict, which has lost the precision and spelling of numbers.
        """
        return self._select_bus(self._router.match(event), bus)

    def match_checked(self, event: bytes | str, bus: str = DEFAULT_BUS) -> list[Route]:
        """Does the same as `match`, many times as fast, for valid text that is known to have no duplicate keys."""
        return self._select_bus(self._router.match_checked(event), bus)

    def match_key(self, key: Key, bus: str) -> list[Route] | None:
        """Returns the routes that take every event of a bus with this type and source; None if other fields decide."""
        numbers = self._router.match_key(key)
        if numbers is None:
            return None
        return self._select_bus(numbers, bus)

    def match_event(self, event: Event, bus: str = DEFAULT_BUS) -> list[Route]:
        """Does the same as `match_checked` for an event that was read; faster if its type and source decide."""
        key = (event.payload_key, event.type, event.source)
        return self._select_bus(self._router.match_keyed(key, event.raw), bus)

    def find_undecided(self, event: Mapping[str, Any] | str | bytes, bus: str = DEFAULT_BUS) -> list[Route]:
        """Returns the enabled routes that take an event for some of their unknown values only, in file order."""
        return self._select_bus(self._router.find_undecided(event), bus)

    def find_undecided_checked(self, event: bytes | str, bus: str = DEFAULT_BUS) -> list[Route]:
        """Does the same as `find_undecided`, many times as fast, for text that is known to be valid."""
        return self._select_bus(self._router.find_undecided_checked(event), bus)

    def _select_bus(self, numbers: Sequence[int], bus: str) -> list[Route]:
        routes = [self._enabled[number] for number in numbers]
        if self._has_buses:
            return [route for route in routes if route.event_bus in (None, bus)]
        return routes

    def restrict_to(self, name: str) -> "Routes":
        """Returns the same handlers with one route only. Raises UsageError if the route does not exist."""
        if name not in self.routes:
            hint = did_you_mean(name, self.routes) or f"the routes are {', '.join(self.routes) or 'none'}"
            raise UsageError(f"there is no route {name}; {hint}")
        return Routes([self.routes[name]], self.handlers)


def _add_interpreter(options: HandlerOptions, interpreter: str | None) -> HandlerOptions:
    """Returns the options with the project's interpreter, if their kind has this option and it is not set."""
    needs_interpreter = interpreter and getattr(options, "interpreter", interpreter) is None
    if needs_interpreter:
        return options.model_copy(update={"interpreter": interpreter})
    return options


@without_gc()
def load_routes(project: Project) -> Routes:
    """Compiles the routes of a project. Raises ConfigError, whose findings have all problems with their locations."""
    raw = project.document.value
    model, patterns, findings = read_model(project)
    if model is None or any(finding.severity == "error" for finding in findings):
        raise ConfigError(f"{project.display_name} cannot be used", findings)
    routes: list[Route] = []
    for name, route in model.routes.items():
        routes.append(
            Route(
                name,
                patterns[name],
                tuple(route.to),
                route.retry,
                route.state == "enabled",
                route.description,
                compile_input(route.input),
                route.event_bus or None,
            )
        )
    handlers: dict[str, HandlerEntry] = {}
    for name, options in model.handlers.items():
        kind = str(find_kind(raw["handlers"][name]))
        handlers[name] = HandlerEntry(name, kind, _add_interpreter(options, model.interpreter), project.folder)
    return Routes(routes, handlers, findings)
