"""Reads projects from one text file: a description, the expected findings, and the files, each below `-- NAME --`."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT


class ProjectCase(NamedTuple):
    """A small project. `expected` are its first lines with a code: `EV402 routes.yaml:7 warning`."""

    expected: list[str]
    files: dict[str, str]

    def write(self, folder: Path) -> None:
        """Writes the files of the project."""
        for name, content in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")


def read_case(text: str) -> ProjectCase:
    """Reads the project in a text."""
    parts = re.split(r"^-- (.+) --\n", text, flags=re.MULTILINE)
    head, names, contents = parts[0], parts[1::2], parts[2::2]
    expected = [line for line in head.splitlines() if re.match(r"EV\d{3} ", line)]
    return ProjectCase(expected, dict(zip(names, contents, strict=True)))


def copy_scenario_project(folder: Path) -> Path:
    """Copies the project that the cases of scenarios are made for. Returns the copy, which has no scenarios."""
    project = folder / "project"
    source = ROOT / "tests/cases/scenarios/project"
    shutil.copytree(source, project, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "scenarios").mkdir()
    return project
