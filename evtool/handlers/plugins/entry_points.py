"""Finds the kinds of handlers that installed packages offer, by their entry points, without importing any."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "evtool.handlers"


@cache
def find_plugins() -> Mapping[str, Sequence["EntryPoint"]]:
    """The entry points by the name of their kind. Several for one name come from several packages."""
    plugins: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for entry_point in _list_entry_points():
        same_name = plugins.setdefault(entry_point.name, {})
        same_name.setdefault((name_package(entry_point), entry_point.value), entry_point)
    return {name: tuple(same_name.values()) for name, same_name in plugins.items()}


def _list_entry_points() -> Iterable["EntryPoint"]:
    # takes as long as all of `evtool validate`, and most projects use no plugin
    from importlib.metadata import distributions, entry_points  # noqa: PLC0415

    try:
        return entry_points(group=GROUP)
    except Exception:  # noqa: BLE001  (a package with broken metadata must not hide the others)
        found = []
        for distribution in distributions():
            try:
                found += [entry_point for entry_point in distribution.entry_points if entry_point.group == GROUP]
            except Exception:  # noqa: BLE001, S112
                continue
        return found


def name_package(entry_point: "EntryPoint") -> str:
    """The package that offers an entry point, with its version, as messages name it."""
    distribution = entry_point.dist
    try:
        if distribution:
            return f"{distribution.name} {distribution.version}"
        return "an unknown package"
    except Exception:  # noqa: BLE001  (its metadata is missing or broken)
        return "a package without metadata"
