"""Formats paths for messages, and checks whether a path is a file or a folder."""

import os
from functools import lru_cache
from pathlib import Path


def display_path(path: Path) -> str:
    """Formats a path for messages: relative to the current folder if it is below it."""
    return _shorten(path, Path.cwd())


# Thousands of routes are in the same file, and each asks for its name.
@lru_cache(maxsize=100)
def _shorten(path: Path, cwd: Path) -> str:
    if path.is_relative_to(cwd):
        return os.path.relpath(path, cwd)
    return str(path)


def is_file(path: str | Path) -> bool:
    """Whether a path is a file. False also for an impossible name, and in a folder that may not be entered."""
    # Path.is_file() raises for these.
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder. False also for an impossible name."""
    # Path.is_dir() raises for such a name.
    return os.path.isdir(path)  # noqa: PTH112
