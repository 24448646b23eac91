"""Samples: what a user names on the command line is a path, or the name of a sample event of the project."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean
from evtool.paths import display
from evtool.routes.project import Project


def path_of(name: str, project: Project) -> str | None:
    """The path that a name stands for: its own if something is there, or that of the sample; else None.

    `order-created`, or its event type `order.created`, is the sample order-created.json.
    """
    return _path(name, _samples(project))


def paths_of(named: Sequence[str], project: Project, *, wanted: str = "no file and no sample") -> list[str]:
    """The paths that names stand for; what looks like a path is one, even if nothing is there.

    Raises UsageError with the nearest name when something is none of what is `wanted`.
    """
    samples = _samples(project)
    found = []
    for name in named:
        path = _path(name, samples) or (name if _looks_like_a_path(name) else None)
        if path is None:
            hint = did_you_mean(name, samples) or f"the samples are {', '.join(samples) or 'none'}"
            raise UsageError(f"there is {wanted} {name}; {hint}")
        found.append(path)
    return found


def _samples(project: Project) -> dict[str, Path]:
    return {file.stem: file for folder in project.samples for file in sorted(folder.rglob("*.json"))}


def _path(name: str, samples: Mapping[str, Path]) -> str | None:
    if name == "-" or os.path.exists(name):  # noqa: PTH110  (false, not an error, for what cannot be a name)
        return name
    sample = samples.get(name) or samples.get(name.replace(".", "-"))
    return display(sample) if sample else None


def _looks_like_a_path(name: str) -> bool:
    return "/" in name or name.endswith((".json", ".jsonl", ".ndjson", ".gz"))
