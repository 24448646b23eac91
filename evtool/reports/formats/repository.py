"""Finds the root of the Git repository, from which GitHub counts the paths of findings."""

import os
from pathlib import Path


def find_repository() -> Path:
    """The root of the Git repository that the current folder is in, or else the current folder."""
    folder = Path.cwd()
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)


def to_repository_path(file: str, root: Path) -> str | None:
    """The path of a file from the root of the repository; None if it is outside."""
    path = Path(os.path.normpath(Path.cwd() / file))
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return None
