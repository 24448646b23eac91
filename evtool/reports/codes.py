"""The text report of `evtool explain EVnnn`: the meaning of the code of a finding, with examples."""

from collections.abc import Mapping
from typing import Any

from evtool.findings.example import SCHEMA
from evtool.reports.base import Report
from evtool.terminal.screen import Screen


class CodeReport(Report):
    """The text report of codes."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows the meaning of a code, with a bad and a good example."""
        self._screen.print_line((record["code"], "bold"), f"  {record['meaning']}")
        kind = ""
        if record["of"] != "words":
            kind = f" {record['of']}"
        # The examples of EV101 to EV109 are events, which are bad or good for this schema only.
        parts = [("bad" + kind, "red", record["bad"]), ("good" + kind, "green", record["good"])]
        if record["code"].startswith("EV1"):
            parts.append(("the schema of the detail", "cyan", SCHEMA))
        for title, style, text in parts:
            self._screen.print_line("  ", (title, style))
            for line in text.rstrip("\n").split("\n"):
                self._screen.print_line("    ", line)
