"""Finds the kind of a handler by its key in routes.yaml: first the kinds of evtool, then those of plugins.

Example: the options `{sqs: orders, timeout: 5s}` name no kind of evtool, and `timeout` is an option of all kinds. If an
installed package has the entry point `sqs` in the group `evtool.handlers`, its kind is used. Without such a package
`find_kind` returns None.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PrivateAttr

from evtool.findings.phrases import shorten
from evtool.handlers.base import Handler, HandlerOptions
from evtool.handlers.plugins.entry_points import find_plugins, name_package
from evtool.handlers.plugins.errors import PluginError
from evtool.handlers.plugins.loading import list_keys, load_plugin, validate_options
from evtool.handlers.registry import KINDS

# Characters of the output of a plugin that messages show.
OUTPUT_WIDTH = 100

# Parts of the JSON Schema for editors, which do not know the installed plugins: options are those of a plugin unless
# they have a key of a kind of evtool, or only keys that all kinds have.
_OTHER_FORMS: list[dict[str, Any]] = [{"required": [kind]} for kind in KINDS]
_OTHER_FORMS.append({"propertyNames": {"enum": list(HandlerOptions.model_fields)}})


class PluginOptions(HandlerOptions):
    """The options of a handler of another package: those of all kinds, and those that the package defines."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"not": {"anyOf": list(_OTHER_FORMS)}})
    _problem: str = PrivateAttr("")

    @property
    def problem(self) -> str:
        """Why the plugin cannot be used. evtool does not read its options then."""
        return self._problem


def list_kinds(options: object) -> list[str]:
    """Returns the kinds that the options of a handler name. Looks for plugins only if no kind of evtool is named."""
    if not isinstance(options, Mapping):
        return []
    kinds = [kind for kind in KINDS if kind in options]
    if kinds:
        return kinds
    if not options.keys() - HandlerOptions.model_fields.keys():
        return []
    plugins = [name for name in list_plugin_kinds() if name in options]
    if len(plugins) <= 1:
        return plugins
    # The key of one kind may be an option of another one: only one of them has all of these options.
    fitting = [name for name in plugins if options.keys() <= set(list_option_keys(name))]
    if len(fitting) == 1:
        return fitting
    return plugins


def find_kind(options: object) -> str | None:
    """Returns the kind that the options of a handler name; None if they name none or several."""
    kinds = list_kinds(options)
    if len(kinds) == 1:
        return kinds[0]
    return None


def list_plugin_kinds() -> list[str]:
    """Returns the kinds that installed packages offer, without loading them."""
    return [name for name in find_plugins() if name not in KINDS and name not in HandlerOptions.model_fields]


def describe_refused_plugins() -> dict[str, str]:
    """Returns why plugins are ignored, by their names."""
    problems: dict[str, str] = {}
    for name, entry_points in find_plugins().items():
        reason = _find_refusal(name)
        if reason:
            packages = " and ".join(map(name_package, entry_points))
            problems[name] = f"the kind {name} of {packages} is ignored: {reason}"
    return problems


def _find_refusal(name: str) -> str | None:
    if name in KINDS:
        return f"{name} is a kind of evtool, which no package can replace"
    if name in HandlerOptions.model_fields:
        return f"{name} is an option of all handlers"
    return None


def list_option_keys(kind: str) -> list[str]:
    """Returns the keys that a handler of a kind may have in routes.yaml."""
    loaded = KINDS.get(kind) or load_plugin(kind).kind
    if loaded is None:
        return list_keys(HandlerOptions)
    return list_keys(loaded.options)


def find_package(kind: str) -> str | None:
    """Returns the package of a kind with its version; None for the kinds of evtool."""
    if kind in KINDS:
        return None
    return load_plugin(kind).package


def describe_output(kind: str) -> str | None:
    """Returns a problem with what a plugin printed while it was imported; None if it printed nothing."""
    if kind in KINDS:
        return None
    plugin = load_plugin(kind)
    output = shorten(" ".join(plugin.output.split()), OUTPUT_WIDTH)
    if output:
        return plugin.describe(f"prints while it is imported: {output}")
    return None


def read_options(kind: str, options: Mapping[str, Any]) -> HandlerOptions:
    """Reads the options of a handler of a kind. Raises ValidationError."""
    if kind in KINDS:
        return KINDS[kind].options.model_validate(options)
    return read_plugin_options(options, PluginOptions.model_validate)


def read_plugin_options(options: Any, read_common: Callable[[Any], HandlerOptions]) -> HandlerOptions:
    """Reads the options of a handler of a plugin. Raises ValidationError.

    If the plugin cannot be used, it reads only the options that all kinds have, and keeps the reason.
    """
    plugin = load_plugin(find_kind(options) or "")
    try:
        return validate_options(plugin, options)
    except PluginError as error:
        common = read_common(options)
        if isinstance(common, PluginOptions):
            common._problem = str(error)
        return common


def open_handler(kind: str, name: str, options: HandlerOptions, folder: Path) -> Handler:
    """Creates a handler, which starts nothing before it is called."""
    if kind in KINDS:
        return KINDS[kind].open(name, options, folder)
    # Imported late, since most projects use no plugin.
    from evtool.handlers.plugins.handler import BrokenHandler, PluginHandler  # noqa: PLC0415

    if isinstance(options, PluginOptions):
        return BrokenHandler(options.problem)
    return PluginHandler(load_plugin(kind), name, options, folder)
