"""The table of report formats: the values of -o and what builds each report."""

from importlib import import_module
from typing import TextIO

from evtool.reports.base import Open, Report, Subject
from evtool.reports.formats.json import Json
from evtool.reports.formats.jsonl import JsonLines
from evtool.reports.formats.text import Text


def on_demand(module: str, name: str) -> Open:
    """Returns an opener of reports that imports the module of the report."""

    # `evtool validate` has to start fast, and most runs use one format.
    def open_report(subject: Subject, file: TextIO, color: str) -> Report:
        report: Report = getattr(import_module(f"evtool.reports.formats.{module}"), name)(subject, file, color)
        return report

    return open_report


KINDS: dict[str, Open] = {
    "text": Text,
    "json": Json,
    "jsonl": JsonLines,
    "github": on_demand("github", "Github"),
    "junit": on_demand("junit", "Junit"),
    "markdown": on_demand("markdown", "Markdown"),
    "sarif": on_demand("sarif", "Sarif"),
}
# The formats of CI systems, which only the commands that report findings or failures have.
FOR_CI = ("github", "junit", "markdown", "sarif")
CHECKING_COMMANDS = ("validate", "check", "test", "publish", "deliver", "replay", "dlq list", "doctor")
# The formats that report findings and counts of a validation, but not its valid events. These can be proven valid in
# blocks, which is faster.
ONLY_FINDINGS = {"text", "json", "jsonl", "github", "markdown", "sarif"}
