"""Finds the kind of a handler by its key in routes.yaml: those of evtool, then those of plugins."""

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

OUTPUT_WIDTH = 100  # characters of what a plugin printed that are shown


# editors know the kinds of evtool only, so that they take any other key for a kind
_OTHER_FORMS: list[dict[str, Any]] = [
    *({"required": [kind]} for kind in KINDS),
    {"propertyNames": {"enum": [*HandlerOptions.model_fields]}},
]


class PluginOptions(HandlerOptions):
    """What a handler of another package may say: the keys of all kinds, and those that its package describes."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"not": {"anyOf": [*_OTHER_FORMS]}})
    _problem: str = PrivateAttr("")

    @property
    def problem(self) -> str:
        """Why the plugin cannot be used with these options, which are not read then."""
        return self._problem


def list_kinds(options: object) -> list[str]:
    """The kinds that the options of a handler name. Plugins are looked for only if none of them is built in."""
    if not isinstance(options, Mapping):
        return []
    kinds = [kind for kind in KINDS if kind in options]
    if kinds:
        return kinds
    if not options.keys() - HandlerOptions.model_fields.keys():
        return []
    plugins = [name for name in list_plugin_kinds() if name in options]
    if len(plugins) > 1:  # what selects one may be an option of another one
        fitting = [name for name in plugins if options.keys() <= set(list_option_keys(name))]
        if len(fitting) == 1:
            return fitting
        return plugins
    return plugins


def find_kind(options: object) -> str | None:
    """The kind of a handler, by its options; None if they name none, or several."""
    kinds = list_kinds(options)
    if len(kinds) == 1:
        return kinds[0]
    return None


def list_plugin_kinds() -> list[str]:
    """The kinds that installed packages offer, without loading them."""
    return [name for name in find_plugins() if name not in KINDS and name not in HandlerOptions.model_fields]


def describe_refused_plugins() -> dict[str, str]:
    """Why plugins are ignored, by their names: a plugin cannot replace a kind of evtool, or be named as an option."""
    return {
        name: f"the kind {name} of {' and '.join(map(name_package, entry_points))} is ignored: {reason}"
        for name, entry_points in find_plugins().items()
        if (reason := _refuse(name))
    }


def _refuse(name: str) -> str | None:
    if name in KINDS:
        return f"{name} is a kind of evtool, which no package can replace"
    if name in HandlerOptions.model_fields:
        return f"{name} is an option of all handlers"
    return None


def list_option_keys(kind: str) -> list[str]:
    """The keys that a handler of a kind may have in routes.yaml."""
    found = KINDS.get(kind) or load_plugin(kind).kind
    return list_keys(found.options if found else HandlerOptions)


def find_package(kind: str) -> str | None:
    """The package of a kind with its version; None for the kinds of evtool."""
    if kind in KINDS:
        return None
    return load_plugin(kind).package


def describe_output(kind: str) -> str | None:
    """What a plugin printed while it was imported, as a problem; None if it printed nothing."""
    if kind in KINDS:
        return None
    plugin = load_plugin(kind)
    output = shorten(" ".join(plugin.output.split()), OUTPUT_WIDTH)
    if output:
        return plugin.describe(f"prints while it is imported: {output}")
    return None


def read_options(kind: str, options: Mapping[str, Any]) -> HandlerOptions:
    """The options of a handler of a kind. Raises ValidationError."""
    if kind in KINDS:
        return KINDS[kind].options.model_validate(options)
    return read_plugin_options(options, PluginOptions.model_validate)


def read_plugin_options(options: Any, read_common: Callable[[Any], HandlerOptions]) -> HandlerOptions:
    """The options of a handler of a plugin; if the plugin cannot be used, those that all kinds have, and the reason.

    Raises ValidationError.
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
    """The handler, with nothing started yet."""
    if kind in KINDS:
        return KINDS[kind].open(name, options, folder)
    from evtool.handlers.plugins.handler import BrokenHandler, PluginHandler  # noqa: PLC0415 - most projects have none

    if isinstance(options, PluginOptions):
        return BrokenHandler(options.problem)
    return PluginHandler(load_plugin(kind), name, options, folder)
