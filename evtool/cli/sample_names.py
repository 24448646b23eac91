"""Resolves what a user names on the command line: a path, or the name of a sample event of the project."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean
from evtool.paths import display_path
from evtool.routes.project import Project


def resolve_path(name: str, project: Project) -> str | None:
    """The path that a name stands for: its own if something is there, or that of the sample; else None.

    `order-created`, or its event type `order.created`, is the sample order-created.json.
    """
    return _find_path(name, _list_samples(project))


def resolve_paths(names: Sequence[str], project: Project, *, not_found: str = "no file and no sample") -> list[str]:
    """The paths that names stand for; what looks like a path is one, even if nothing is there.

    Raises UsageError with the nearest name when something is none of what is `wanted`.
    """
    samples = _list_samples(project)
    paths = []
    for name in names:
        path = _find_path(name, samples) or (name if _looks_like_a_path(name) else None)
        if path is None:
            hint = did_you_mean(name, samples) or f"the samples are {', '.join(samples) or 'none'}"
            raise UsageError(f"there is {not_found} {name}; {hint}")
        paths.append(path)
    return paths


def _list_samples(project: Project) -> dict[str, Path]:
    return {file.stem: file for folder in project.samples for file in sorted(folder.rglob("*.json"))}


def _find_path(name: str, samples: Mapping[str, Path]) -> str | None:
    if name == "-" or os.path.exists(name):  # noqa: PTH110  (false, not an error, for what cannot be a name)
        return name
    sample = samples.get(name) or samples.get(name.replace(".", "-"))
    return display_path(sample) if sample else None


def _looks_like_a_path(name: str) -> bool:
    return "/" in name or name.endswith((".json", ".jsonl", ".ndjson", ".gz"))
