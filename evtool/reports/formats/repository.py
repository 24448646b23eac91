"""Finds the root of the Git repository, from which GitHub counts the paths of findings."""

import os
from itertools import chain
from pathlib import Path


def find_repository() -> Path:
    """Returns the root of the Git repository that the current folder is in, or else the current folder."""
    current = Path.cwd()
    for folder in chain([current], current.parents):
        # In a worktree and in a submodule `.git` is a file.
        if (folder / ".git").exists():
            return folder
    return current


def to_repository_path(file: str, root: Path) -> str | None:
    """Returns the path of a file from the root of the repository; None if it is outside."""
    # No link is resolved: Git, and so GitHub, has the file under the name of the link.
    path = Path(os.path.normpath(Path.cwd() / file))
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return None
