"""Projects in one text file: a description, lines of what is expected, and the files, each below `-- NAME --`."""

import re
from pathlib import Path
from typing import NamedTuple


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
    """The project in a text."""
    head, *parts = re.split(r"^-- (.+) --\n", text, flags=re.MULTILINE)
    expected = [line for line in head.splitlines() if re.match(r"EV\d{3} ", line)]
    return ProjectCase(expected, dict(zip(parts[::2], parts[1::2], strict=True)))
