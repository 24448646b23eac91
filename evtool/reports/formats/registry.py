"""The table of report formats: the values of -o and what builds each report."""

from importlib import import_module
from typing import TextIO

from evtool.reports.base import Open, Report, Subject
from evtool.reports.formats.json import Json
from evtool.reports.formats.jsonl import JsonLines
from evtool.reports.formats.text import Text


def on_demand(module: str, name: str) -> Open:
    """What opens a report whose module is imported when it is used: `evtool validate` must start fast."""

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
FOR_CI = ("github", "junit", "markdown", "sarif")  # only for commands that report findings or failures:
CHECKING_COMMANDS = ("validate", "check", "test", "publish", "deliver", "replay", "dlq list", "doctor")
# of a validation they report findings and counts, no valid event
ONLY_FINDINGS = {"text", "json", "jsonl", "github", "markdown", "sarif"}
