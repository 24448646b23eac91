"""Loads the kind of a plugin and the options of its handlers, or describes why this is not possible."""

from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from evtool.handlers.base import HandlerOptions, Kind
from evtool.handlers.plugins.entry_points import find_plugins, name_package
from evtool.handlers.plugins.errors import PluginError, describe_error
from evtool.handlers.plugins.thread import PluginThread, Ran

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Seconds for each step: the import of the module, reading options, opening a handler.
LOAD_LIMIT = 10.0

# Members of options that decide how evtool runs a kind. A plugin with `is_in_process` would stop the delivery loop.
RESERVED = ("longest_call", "is_in_process")


class Plugin(NamedTuple):
    """A kind of an installed package, or why it cannot be used."""

    name: str
    package: str
    kind: Kind | None = None
    problem: str = ""

    # The text that it printed while it was imported.
    output: str = ""

    def describe(self, problem: str) -> str:
        """Returns a problem of this plugin with its name and its package."""
        return f"the kind {self.name} of {self.package} {problem}"


@cache
def load_plugin(name: str) -> Plugin:
    """Loads the plugin with a name from `find_plugins`. The result has its problem, if it cannot be loaded."""
    entry_points = find_plugins()[name]
    packages = [name_package(entry_point) for entry_point in entry_points]
    plugin = Plugin(name, " and ".join(packages))
    if len(entry_points) > 1:
        problem = f"is installed {len(entry_points)} times: uninstall all of these packages but one"
        return plugin._replace(problem=plugin.describe(problem))
    ran = _run(partial(_load_kind, entry_points[0]))
    plugin = plugin._replace(output=ran.output)
    if ran.error:
        return plugin._replace(problem=plugin.describe(f"cannot be loaded: {describe_error(ran.error)}"))
    return plugin._replace(kind=ran.value)


def validate_options(plugin: Plugin, values: Mapping[str, Any]) -> HandlerOptions:
    """Reads the options of a handler. Raises ValidationError for wrong options, PluginError for a wrong plugin."""
    kind = plugin.kind
    if kind is None:
        raise PluginError(plugin.problem)
    ran = _run(partial(_validate, kind.options, values))
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
    for name in RESERVED:
        if getattr(kind.options, name) is not getattr(HandlerOptions, name):
            raise PluginError(f"its options override {name}")
    return kind


def list_keys(options: type[BaseModel]) -> list[str]:
    """Returns the keys that options may have in routes.yaml."""
    keys: list[str] = []
    for name, field in options.model_fields.items():
        # A field has an alias if its key is a keyword of Python, such as `lambda`.
        if isinstance(field.validation_alias, str):
            keys.append(field.validation_alias)
        else:
            keys.append(name)
    return keys


def _validate(model: type[HandlerOptions], values: Mapping[str, Any]) -> HandlerOptions:
    options = model.model_validate(values)
    if not isinstance(options, model):
        raise PluginError(f"its model gives a value of type {type(options).__name__}")
    common = {name: getattr(options, name) for name in HandlerOptions.model_fields}
    # As users write a size: the field accepts no numbers.
    if isinstance(common["emit_bytes"], int):
        common["emit_bytes"] = f"{common['emit_bytes']}B"
    # The model of a plugin may set the fields of all kinds, also to values that evtool refuses in routes.yaml.
    try:
        HandlerOptions.model_validate(common)
    except ValidationError as error:
        detail = error.errors()[0]
        raise PluginError(f"its model changes {detail['loc'][0]}: {detail['msg']}") from None
    return options
