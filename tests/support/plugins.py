"""Installs packages with kinds of handlers in a folder of a test."""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from evtool.handlers.plugins.entry_points import GROUP, find_plugins
from evtool.handlers.plugins.loading import load_plugin
from tests.conftest import ROOT

SAMPLE = ROOT / "samples/plugin"
HEAD = """
from pathlib import Path
from evtool.plugins import *
class Options(HandlerOptions):
    append: str
class Append:
    def __init__(self, file): self.file = Path(file)
    def __call__(self, call):
        with self.file.open("ab") as file: file.write(call.raw + b"\\n")
        return Done()
    def check(self): return None
    def close(self): pass
KIND = Kind(Options, lambda name, options, folder: Append(folder / options.append))
"""


def write_package(
    site: Path, code: str = HEAD, *, name: str = "evtool-append", version: str = "1.2", kind: str = "append"
) -> None:
    """Installs a package with one module that adds one kind, `KIND` in the module."""
    module = name.replace("-", "_")
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    write_metadata(site, name, version, {kind: f"{module}:KIND"})


def write_metadata(site: Path, name: str, version: str, kinds: Mapping[str, str]) -> None:
    """Writes the metadata that an installer writes for a package with these entry points."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{kind} = {value}\n" for kind, value in kinds.items()]
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{''.join(lines)}")


def install_sample(site: Path) -> None:
    """Installs the package of samples/plugin."""
    install_package(SAMPLE, site)


def install_package(folder: Path, site: Path) -> None:
    """Installs a package in editable form, by its pyproject.toml: the modules are links to those in its folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    site.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.py"):
        (site / file.name).symlink_to(file)
    write_metadata(site, project["name"], project["version"], project["entry-points"][GROUP])


@contextmanager
def plugins_in(site: Path) -> Iterator[None]:
    """Adds the packages in a folder to this process, without the plugins of earlier tests."""
    modules = set(sys.modules)
    sys.path.insert(0, str(site))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        _forget()
        for name in set(sys.modules) - modules:
            if str(site) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]


def _forget() -> None:
    find_plugins.cache_clear()
    load_plugin.cache_clear()
    sys.path_importer_cache.clear()
