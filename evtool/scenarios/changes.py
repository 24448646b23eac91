"""Waits until a file changes on which the scenarios of a project depend, for `evtool test --watch`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from evtool.routes.project import Project

# of the programs of handlers; other files in the project may be written by the handlers themselves
PROGRAMS = (".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".java", ".jar", ".go", ".rs", ".awk", ".pl")
SKIPPED = ("node_modules", "__pycache__")
Snapshot = Mapping[str, tuple[int, int]]


def take_snapshot(project: Project, files: Iterable[Path]) -> Snapshot:
    """The time of change and the size of every file that the scenarios depend on.

    These are routes.yaml, the given files and folders, those of the schemas, samples and scenarios, and the programs in
    the folder of the project.
    """
    named = [target[0] for target in project.named_schemas.values()]
    roots = [project.file, project.scenarios, *project.schemas, *project.samples, *named, *files]
    found = {str(file) for root in roots for file in _walk(root)}
    found |= {str(file) for file in _walk(project.folder) if file.suffix in PROGRAMS}
    return list_states(map(Path, found))


def list_states(files: Iterable[Path]) -> Snapshot:
    """The time of change and the size of each file that is there."""
    return {file: state for file in sorted(map(str, files)) if (state := _read_state(file))}


def find_change(before: Snapshot, after: Snapshot) -> str | None:
    """The first file that was added, removed or changed between two snapshots."""
    return next((file for file in sorted({*before, *after}) if before.get(file) != after.get(file)), None)


def wait_for_change(before: Snapshot, take: Callable[[], Snapshot], pause: Callable[[], object]) -> str:
    """Looks until a file has changed, with a pause before each look; the file."""
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
        folders[:] = [name for name in folders if name[:1] != "." and name not in SKIPPED]
        yield from (Path(folder) / name for name in names)


def _read_state(file: str) -> tuple[int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116  (Path.stat() costs twice as much, for many files)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
