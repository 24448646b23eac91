"""Samples: what a user names on the command line is a path, or the name of a sample event of the project."""

import os
from collections.abc import Sequence

from evtool.errors import UsageError
from evtool.finding import did_you_mean
from evtool.project import Project, display


def paths_of(named: Sequence[str], project: Project) -> list[str]:
    """Paths as they are, names of samples as the paths of their files.

    `order-created`, or its event type `order.created`, is the sample order-created.json. Raises UsageError with the
    nearest name when something is neither.
    """
    samples = {file.stem: file for folder in project.samples for file in sorted(folder.rglob("*.json"))}
    found = []
    for name in named:
        sample = samples.get(name) or samples.get(name.replace(".", "-"))
        if name == "-" or os.path.exists(name) or (sample is None and _looks_like_a_path(name)):  # noqa: PTH110  (false, not an error, for what cannot be a name)
            found.append(name)
        elif sample is not None:
            found.append(display(sample))
        else:
            hint = did_you_mean(name, samples) or f"the samples are {', '.join(samples) or 'none'}"
            raise UsageError(f"there is no file and no sample {name}; {hint}")
    return found


def _looks_like_a_path(name: str) -> bool:
    return "/" in name or name.endswith((".json", ".jsonl", ".ndjson", ".gz"))
