"""The report of `evtool test`: records of scenarios and their coverage, and the text form."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location, shorten
from evtool.patterns.compiler import EQUALS, OR
from evtool.reports.base import Report
from evtool.scenarios.coverage import Section
from evtool.scenarios.expectations import format_value
from evtool.scenarios.runner import ScenarioResult
from evtool.terminal.screen import Screen, format_count
from evtool.terminal.snippets import show_finding

# Characters of an expected or actual value that a line shows.
MAX_VALUE = 200
# Characters of the value of a missed alternative.
MAX_ALTERNATIVE = 40


def build_scenario_record(result: ScenarioResult) -> dict[str, Any]:
    """Builds the record of a scenario."""
    scenario = result.scenario
    location = scenario.locate()
    failures = []
    for failure in result.failures:
        record = {
            "what": failure.what,
            "expected": failure.expected,
            "actual": failure.actual,
            "reason": failure.reason,
        }
        failures.append(record | scenario.locate(failure.path))
    return {
        "name": scenario.name,
        "file": location["file"],
        "line": location["line"],
        "ok": not failures,
        "failures": failures,
    }


def build_coverage_record(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Builds the record of the coverage, by section."""
    return {name: section.as_dict() for name, section in sections.items()}


def format_failure(failure: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the lines of a failure, each with its label."""
    yield "expected", shorten(format_value(failure["expected"]), MAX_VALUE)
    yield "actual", shorten(format_value(failure["actual"]), MAX_VALUE)
    if failure["reason"]:
        yield "reason", failure["reason"]


class ScenariosReport(Report):
    """The text report: a line for each scenario, the failures with their reasons, the coverage."""

    def __init__(self, screen: Screen, findings: Collection[Finding], *, quiet: bool, coverage: bool):
        """`findings` are shown at the end; they may be added until then."""
        self._screen, self._findings, self._quiet, self._coverage = screen, findings, quiet, coverage
        self._file: str | None = None

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a scenario, below the name of its file."""
        if self._quiet and record["ok"]:
            return
        if record["file"] != self._file:
            self._file = record["file"]
            self._screen.print_line((record["file"], "bold"))
        mark, location = ("  ok    ", "green"), ""
        if not record["ok"]:
            mark, location = ("  FAIL  ", "bold red"), f"  {record['file']}:{record['line']}"
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
            result = ("all passed", "bold green")
            if summary["failed"]:
                result = (f"{summary['failed']:,} failed", "bold red")
            self._screen.print_line(f"{format_count(summary['scenarios'], 'scenario')}: ", result)

    def _show_coverage(self, coverage: Mapping[str, Any]) -> None:
        rows = []
        for name, section in coverage.items():
            rows.append([name, f"{section['covered']:,}", f"{section['all']:,}", str(section["percent"])])
        self._screen.print_line("")
        self._screen.print_table(["coverage", "covered", "all", "percent"], rows, right_aligned=(1, 2, 3))
        missed = list(_iter_missed(coverage))
        if missed:
            self._screen.print_line("")
            self._screen.print_line(("missed", "bold"))
        for location, text in missed:
            # A type has no location: its schema may be in any file.
            if location:
                self._screen.print_line("  ", (location, "dim"), "  ", text)
            else:
                self._screen.print_line("  ", text)
        self._screen.print_line("")


def _iter_missed(coverage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the location and the description of each part that was missed."""
    for record in coverage["routes"]["missed"]:
        yield _locate(record), f"route {record['route']}"
    for record in coverage["alternatives"]["missed"]:
        yield _locate(record), describe_alternative(record)
    for record in coverage["handlers"]["missed"]:
        yield _locate(record), f"handler {record['handler']}"
    for record in coverage["types"]["missed"]:
        yield "", f"type {record['type']}"


def describe_alternative(record: Mapping[str, Any]) -> str:
    """Describes a missed alternative."""
    value = shorten(json.dumps(record["value"], ensure_ascii=False), MAX_ALTERNATIVE)
    operator = ""
    if record["operator"] not in (EQUALS, OR):
        operator = f"{record['operator']} "
    return f"route {record['route']}: {record['path']} {operator}{value}"


def _locate(record: Mapping[str, Any]) -> str:
    return format_location(record["file"], record["line"], None)
