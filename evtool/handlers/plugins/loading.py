"""Loads the kind of a plugin and the options of its handlers, and says why this is not possible."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from evtool.handlers.base import HandlerOptions, Kind
from evtool.handlers.plugins.entry_points import find_plugins, name_package
from evtool.handlers.plugins.errors import PluginError, describe_error
from evtool.handlers.plugins.thread import PluginThread, Ran

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LOAD_LIMIT = 10.0  # seconds for each step: to import the module, to read options, to open a handler
RESERVED = ("longest_call", "is_in_process")  # members of options that say how evtool's own kinds are run


class Plugin(NamedTuple):
    """A kind of an installed package, or why it cannot be used."""

    name: str
    package: str
    kind: Kind | None = None
    problem: str = ""
    output: str = ""  # what it printed while it was imported

    def describe(self, problem: str) -> str:
        """A problem of this plugin, with its package."""
        return f"the kind {self.name} of {self.package} {problem}"


@cache
def load_plugin(name: str) -> Plugin:
    """The plugin with a name that `find_plugins` has. Never raises for what is wrong with it."""
    entry_points = find_plugins()[name]
    packages = [name_package(entry_point) for entry_point in entry_points]
    plugin = Plugin(name, " and ".join(packages))
    if len(entry_points) > 1:
        problem = f"is there {len(entry_points)} times: uninstall all of these packages but one"
        return plugin._replace(problem=plugin.describe(problem))
    ran = _run(lambda: _load_kind(entry_points[0]))
    plugin = plugin._replace(output=ran.output)
    if ran.error:
        return plugin._replace(problem=plugin.describe(f"cannot be loaded: {describe_error(ran.error)}"))
    return plugin._replace(kind=ran.value)


def validate_options(plugin: Plugin, values: Mapping[str, Any]) -> HandlerOptions:
    """The options of a handler. Raises ValidationError if they are wrong, PluginError if the plugin is."""
    kind = plugin.kind
    if kind is None:
        raise PluginError(plugin.problem)
    ran = _run(lambda: _validate(kind.options, values))
    if isinstance(ran.error, ValidationError):
        raise ran.error
    if ran.error:
        raise PluginError(plugin.describe(f"cannot read its options: {describe_error(ran.error)}"))
    options: HandlerOptions = ran.value
    return options


def _run(work: Any) -> Ran:
    thread = PluginThread()
    try:
        return thread.run(work, LOAD_LIMIT)
    except TimeoutError:
        return Ran(None, PluginError(f"it took longer than {LOAD_LIMIT:g}s"))
    finally:
        thread.close()


# --- in the thread of the plugin -------------------------------------------------------------------------------------


def _load_kind(entry_point: "EntryPoint") -> Kind:
    kind = entry_point.load()
    if not isinstance(kind, Kind):
        raise PluginError(f"{entry_point.value} is not a Kind but of type {type(kind).__name__}")
    if not (isinstance(kind.options, type) and issubclass(kind.options, HandlerOptions)):
        raise PluginError("the options of its Kind are not a subclass of HandlerOptions")
    if not callable(kind.open):
        raise PluginError("the open of its Kind cannot be called")
    fields = list_keys(kind.options)
    if entry_point.name not in fields:
        raise PluginError(f"its options have no field {entry_point.name}, the key that selects it in routes.yaml")
    overridden = [name for name in RESERVED if getattr(kind.options, name) is not getattr(HandlerOptions, name)]
    if overridden:
        raise PluginError(f"its options override {overridden[0]}")
    return kind


def list_keys(options: type[BaseModel]) -> list[str]:
    """The keys that options may have in routes.yaml."""
    fields = options.model_fields.items()
    return [alias if isinstance(alias := field.validation_alias, str) else name for name, field in fields]


def _validate(model: type[HandlerOptions], values: Mapping[str, Any]) -> HandlerOptions:
    options = model.model_validate(values)
    if not isinstance(options, model):
        raise PluginError(f"its model gives a value of type {type(options).__name__}")
    common = {name: getattr(options, name) for name in HandlerOptions.model_fields}
    if isinstance(common["emit_bytes"], int):
        common["emit_bytes"] = f"{common['emit_bytes']}B"  # as users write it
    try:
        HandlerOptions.model_validate(common)
    except ValidationError as error:
        detail = error.errors()[0]
        raise PluginError(f"its model changes {detail['loc'][0]}: {detail['msg']}") from None
    return options
