"""Waits until a file changes on which the scenarios of a project depend, for `evtool test --watch`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from evtool.routes.project import Project

# The suffixes of the programs of handlers. Other files in the project may be written by the handlers themselves, and
# watching those would start the scenarios again and again.
PROGRAMS = (".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".java", ".jar", ".go", ".rs", ".awk", ".pl")
SKIPPED = ("node_modules", "__pycache__")
# The time of change in nanoseconds and the size, by the path of the file.
Snapshot = Mapping[str, tuple[int, int]]


def take_snapshot(project: Project, files: Iterable[Path]) -> Snapshot:
    """Returns the time of change and the size of every file that the scenarios depend on.

    These are routes.yaml, the given files and folders, those of the schemas, samples and scenarios, and the programs in
    the folder of the project.
    """
    named = [target[0] for target in project.named_schemas.values()]
    roots = chain([project.file, project.scenarios], project.schemas, project.samples, named, files)
    watched = set(chain.from_iterable(map(_walk, roots)))
    watched.update(file for file in _walk(project.folder) if file.suffix in PROGRAMS)
    return list_states(watched)


def list_states(files: Iterable[Path]) -> Snapshot:
    """Returns the time of change and the size of each file that exists."""
    states = {}
    for file in sorted(map(str, files)):
        state = _read_state(file)
        if state:
            states[file] = state
    return states


def find_change(before: Snapshot, after: Snapshot) -> str | None:
    """Returns the first file that was added, removed or changed between two snapshots; None if they are the same."""
    for file in sorted(before.keys() | after.keys()):
        if before.get(file) != after.get(file):
            return file
    return None


def wait_for_change(before: Snapshot, take: Callable[[], Snapshot], pause: Callable[[], object]) -> str:
    """Takes snapshots, with a pause before each, until a file has changed, and returns that file."""
    while True:
        pause()
        file = find_change(before, take())
        if file:
            return file


def _walk(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, folders, names in os.walk(root):
        # `os.walk` enters the folders that are left in this list.
        folders[:] = [name for name in folders if name[:1] != "." and name not in SKIPPED]
        for name in names:
            yield Path(folder, name)


def _read_state(file: str) -> tuple[int, int] | None:
    try:
        # Path.stat() takes twice as long, which counts for many files.
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
