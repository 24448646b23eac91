"""The report of `evtool test`: records of scenarios and their coverage, and the text form."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location, shorten
from evtool.patterns.compiler import EQUALS, OR
from evtool.reports.base import Record
from evtool.scenarios.coverage import Section
from evtool.scenarios.expectations import format_value
from evtool.scenarios.runner import ScenarioResult
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen, format_count
from evtool.terminal.snippets import show_finding

MAX_VALUE = 200  # characters of an expected or actual value that a line shows
MAX_ALTERNATIVE = 40  # characters of the value of a missed alternative


def build_scenario_record(result: ScenarioResult) -> dict[str, Any]:
    """What a scenario showed, as machines read it."""
    scenario = result.scenario
    location = scenario.locate()
    return {
        "name": scenario.name,
        "file": location["file"],
        "line": location["line"],
        "ok": not result.failures,
        "failures": [
            {
                "what": failure.what,
                "expected": failure.expected,
                "actual": failure.actual,
                "reason": failure.reason,
                **scenario.locate(failure.path),
            }
            for failure in result.failures
        ],
    }


def build_coverage_record(sections: Mapping[str, Section]) -> dict[str, Any]:
    """The coverage, as machines read it."""
    return {name: section.as_dict() for name, section in sections.items()}


def format_failure(failure: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines of a failure, each with its label."""
    yield "expected", shorten(format_value(failure["expected"]), MAX_VALUE)
    yield "actual", shorten(format_value(failure["actual"]), MAX_VALUE)
    if failure["reason"]:
        yield "reason", failure["reason"]


class ScenariosReport:
    """The text report: a line for each scenario, the failures with their reasons, the coverage."""

    def __init__(self, screen: Screen, findings: Collection[Finding], *, quiet: bool, coverage: bool):
        """`findings` are shown at the end; they may be added until then."""
        self._screen, self._findings, self._quiet, self._coverage = screen, findings, quiet, coverage
        self._file: str | None = None

    def add(self, record: Record) -> None:
        """Shows a scenario, below the name of its file."""
        assert not isinstance(record, ValidationResult)
        if self._quiet and record["ok"]:
            return
        if record["file"] != self._file:
            self._file = record["file"]
            self._screen.print_line((record["file"], "bold"))
        if record["ok"]:
            mark = ("  ok    ", "green")
        else:
            mark = ("  FAIL  ", "bold red")
        if record["ok"]:
            location = ""
        else:
            location = f"  {record['file']}:{record['line']}"
        self._screen.print_line(mark, record["name"], (location, "dim"))
        for failure in record["failures"]:
            location = f"  {format_location(failure['file'], failure['line'], failure['column'])}"
            self._screen.print_line("        ", (failure["what"], "bold"), (location, "dim"))
            for label, text in format_failure(failure):
                self._screen.print_line("          ", (f"{label:<8}", "dim"), "  ", text)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the warnings, the coverage and the sums."""
        for finding in self._findings:
            show_finding(self._screen, finding)
        if self._coverage and not self._quiet:
            self._show_coverage(tail["coverage"])
        summary = tail["summary"]
        if summary.get("fail_under") is not None:
            percent = tail["coverage"]["alternatives"]["percent"]
            if percent < summary["fail_under"]:
                text = f"coverage is {percent} %, less than {summary['fail_under']} %"
                self._screen.print_line((text, "bold red"))
        if not self._quiet:
            failed = summary["failed"]
            if failed:
                result = (f"{failed:,} failed", "bold red")
            else:
                result = ("all passed", "bold green")
            self._screen.print_line(f"{format_count(summary['scenarios'], 'scenario')}: ", result)

    def _show_coverage(self, coverage: Mapping[str, Any]) -> None:
        rows = [
            [name, f"{section['covered']:,}", f"{section['all']:,}", str(section["percent"])]
            for name, section in coverage.items()
        ]
        self._screen.print_line("")
        self._screen.print_table(["coverage", "covered", "all", "percent"], rows, right_aligned=(1, 2, 3))
        lines = [*_list_missed(coverage)]
        if lines:
            self._screen.print_line("")
            self._screen.print_line(("missed", "bold"))
        for location, text in lines:
            self._screen.print_line("  ", (location, "dim") if location else "", "  " if location else "", text)
        self._screen.print_line("")


class NoText:
    """The text report of scenarios that cannot be used: the error on standard error has the findings."""

    def add(self, record: Record) -> None:
        """No scenario is run."""

    def end(self, tail: Mapping[str, Any]) -> None:
        """Prints nothing."""


def _list_missed(coverage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was missed: its location and what it is."""
    for record in coverage["routes"]["missed"]:
        yield _locate(record), f"route {record['route']}"
    for record in coverage["alternatives"]["missed"]:
        yield _locate(record), describe_alternative(record)
    for record in coverage["handlers"]["missed"]:
        yield _locate(record), f"handler {record['handler']}"
    for record in coverage["types"]["missed"]:
        yield "", f"type {record['type']}"


def describe_alternative(record: Mapping[str, Any]) -> str:
    """A missed alternative in words."""
    value = shorten(json.dumps(record["value"], ensure_ascii=False), MAX_ALTERNATIVE)
    operator = ""
    if record["operator"] not in (EQUALS, OR):
        operator = f"{record['operator']} "
    return f"route {record['route']}: {record['path']} {operator}{value}"


def _locate(record: Mapping[str, Any]) -> str:
    return format_location(record["file"], record["line"], None)
