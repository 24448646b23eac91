"""Finds the kinds of handlers that installed packages offer, by their entry points. It imports none of them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "evtool.handlers"


@cache
def find_plugins() -> Mapping[str, Sequence["EntryPoint"]]:
    """Returns the entry points by the name of their kind. Several packages may offer one name."""
    # A package that is found twice in sys.path has each entry point twice: the second one is dropped.
    plugins: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for entry_point in _list_entry_points():
        same_name = plugins.setdefault(entry_point.name, {})
        same_name.setdefault((name_package(entry_point), entry_point.value), entry_point)
    return {name: tuple(same_name.values()) for name, same_name in plugins.items()}


def _list_entry_points() -> Iterable["EntryPoint"]:
    # The import takes as long as all of `evtool validate`, and most projects use no plugin.
    from importlib.metadata import distributions, entry_points  # noqa: PLC0415

    try:
        return entry_points(group=GROUP)
    # One package has broken metadata. It must not hide the others, which are read one by one.
    except Exception:  # noqa: BLE001
        readable: list[EntryPoint] = []
        for distribution in distributions():
            try:
                readable += distribution.entry_points.select(group=GROUP)
            except Exception:  # noqa: BLE001, S112
                continue
        return readable


def name_package(entry_point: "EntryPoint") -> str:
    """Returns the package that offers an entry point, with its version, for messages."""
    distribution = entry_point.dist
    try:
        if distribution:
            return f"{distribution.name} {distribution.version}"
        return "an unknown package"
    # Its metadata is missing or broken.
    except Exception:  # noqa: BLE001
        return "a package without metadata"
