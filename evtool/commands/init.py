"""The command `evtool init`: creates a small working project."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from string import Template
from typing import Annotated, Any

from evtool.cli.options import Argument
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.findings.phrases import list_some
from evtool.paths import display_path, is_file
from evtool.reports.base import Report, Subject
from evtool.routes.project import ROUTES_FILE
from evtool.terminal.screen import Screen

TEMPLATES = Path(__file__).with_name("project_template")
# The files of a project, and their templates.
PROJECT = {
    ROUTES_FILE: "routes.yaml",
    "handlers/orders.py": "orders.py.txt",
    "samples/order-created.json": "order-created.json",
    "scenarios/orders.yaml": "scenarios.yaml",
    "schemas/order.confirmed.json": "order.confirmed.json",
    "schemas/order.created.json": "order.created.json",
    ".github/workflows/events.yml": "workflow.yml",
    ".pre-commit-config.yaml": "pre-commit.yaml",
    ".evtool/.gitignore": "gitignore",
}
# The files of a project that starts with the rules of a template, whose events evtool does not know.
RULES_PROJECT = {
    ROUTES_FILE: "template-routes.yaml",
    ".github/workflows/events.yml": "template-workflow.yml",
    ".pre-commit-config.yaml": "template-pre-commit.yaml",
    ".evtool/.gitignore": "gitignore",
}
# Files that a message names.
MOST_NAMED = 10


def init(
    session: Session,
    folder: Annotated[str, Argument("[DIR]", "folder of the project; default: the current folder")] = ".",
) -> int:
    """Create a small working project: routes, schemas, a sample, handlers, scenarios, a CI workflow.

    `evtool validate`, `evtool check` and `evtool test` pass in it. With --routes FILE the project starts with the rules
    of that file, such as a CloudFormation template. No file is overwritten: exit code 2 if one exists.

    Example: evtool init my-shop
    """
    root = Path(folder)
    files = PROJECT
    if session.routes:
        files = RULES_PROJECT
    # A broken link counts as existing, too: writing through it would create a file elsewhere.
    existing = [file for file in files if os.path.lexists(root / file)]
    if existing:
        names = list_some([display_path((root / file).absolute()) for file in existing], MOST_NAMED)
        raise UsageError(f"init overwrites nothing, and there is already {names}; name another folder")
    values = _build_values(root, session.routes)
    with session.open_report(Subject("init", "files", partial(_InitReport, root=root, session=session))) as report:
        for file, template in files.items():
            _write_file(root / file, Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(values))
            report.add_record({"file": display_path((root / file).absolute())})
        report.end({"summary": {"files": len(files)}})
    return EXIT_OK


def _build_values(root: Path, rules: str | None) -> Mapping[str, str]:
    """Returns the values for the templates: the project's name, the source of its events, the file with its rules."""
    name = root.absolute().resolve().name
    source = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"
    # Other characters could end the YAML comment that contains the name.
    if not re.fullmatch(r"[\w .-]+", name):
        name = source
    values = {"name": name, "source": source}
    if rules is None:
        return values
    if not is_file(rules):
        raise UsageError(f"there is no file {rules} (named by --routes)")
    path = os.path.relpath(Path(rules).absolute(), root.absolute())
    # A JSON string is a valid YAML string for all characters of a path.
    if re.search(r"[^\w./-]", path):
        path = json.dumps(path)
    return values | {"rules": path}


def _write_file(file: Path, text: str) -> None:
    """Creates a file that does not exist. Raises UsageError if that is impossible."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {display_path(file.absolute())}: {error.strerror}") from None


class _InitReport(Report):
    """The text report: the files, and what to do next."""

    def __init__(self, screen: Screen, root: Path, session: Session):
        self._screen, self._root, self._session = screen, root, session

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a file."""
        if not self._session.quiet:
            self._screen.print_line("wrote ", record["file"])

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Shows the next commands."""
        if self._session.quiet:
            return
        commands = []
        if self._root.resolve() != Path.cwd():
            commands.append(f"cd {shlex.quote(str(self._root))}")
        if self._session.routes:
            commands.append("evtool check")
        else:
            commands += ["evtool validate", "evtool check", "evtool test"]
        self._screen.print_line("next: ", (" && ".join(commands), "bold"))
