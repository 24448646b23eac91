"""Formats paths for messages, and checks whether a path is a file or a folder."""

import os
from functools import lru_cache
from pathlib import Path


def display_path(path: Path) -> str:
    """A path as messages show it: relative to the current folder where it is below it."""
    return _shorten(path, Path.cwd())


@lru_cache(maxsize=100)  # thousands of routes are in the same file
def _shorten(path: Path, cwd: Path) -> str:
    if path.is_relative_to(cwd):
        return os.path.relpath(path, cwd)
    return str(path)


def is_file(path: str | Path) -> bool:
    """Whether there is a file; a name that no file can have, or one in a folder that may not be entered, means no."""
    return os.path.isfile(path)  # noqa: PTH113  (Path.is_file() raises for these)


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder; a name that no folder can have means no."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir() raises for these)
