"""Reads the records of any command as checks that passed, failed or were left open, for the reports of CI systems.

validate          an event without findings        a check that passed
test              a scenario with two failures     a check with two problems
publish, deliver  a delivery that waits            an open check: it neither passed nor failed
deliver           a delivery that failed, then     one check that passed: only the last record of a delivery
                  one that is done                 counts
all               a finding in the tail            a check with one problem
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location
from evtool.reports.base import Report
from evtool.scenarios.expectations import describe_failure
from evtool.schemas.validation import ValidationResult

_KEY_OF_DELIVERY = itemgetter("event", "type", "route", "handler", "replay")
_KEY_OF_CHANGE = itemgetter("change", "route", "handler", "file", "line", "column")
PASSED = ("done", "would fire")
FAILED = ("failed", "dead")


class Problem(NamedTuple):
    """A finding, or a delivery that failed."""

    # error | warning | note
    severity: str
    # The code of a finding, or the kind of the problem in two words.
    title: str
    message: str
    suggestion: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    # Characters from the column on.
    width: int = 1

    @property
    def location(self) -> str:
        """File, and line and column if they are known."""
        return format_location(self.file, self.line, self.column)

    @property
    def advice(self) -> str:
        """The message, and the suggestion behind it."""
        if self.suggestion:
            return f"{self.message}; {self.suggestion}"
        return self.message


class Check(NamedTuple):
    """An event, a delivery or a scenario, and the problems with it. `open` is why it neither passed nor failed."""

    # The file, or the type of the event.
    group: str
    name: str
    problems: tuple[Problem, ...] = ()
    open: str | None = None
    file: str | None = None
    line: int | None = None
    duration_ms: int = 0


class CheckReader:
    """Turns records into checks. A delivery that may be attempted again is kept until its last record is known."""

    def __init__(self, command: str):
        self._command = command
        self._unfinished: dict[tuple[Any, ...], Check] = {}
        # The causes of lost and gained deliveries.
        self._changes: set[tuple[Any, ...]] = set()

    def read_record(self, record: Mapping[str, Any]) -> Iterator[Check]:
        """Yields the checks that a record decides."""
        if "failures" in record:
            yield _read_scenario(record)
        elif "change" in record:
            yield from self._read_change(record)
        elif "fires" in record:
            for fire in record["fires"]:
                yield _read_delivery(fire | {"state": fire["action"]}, record["id"], record["type"])
        elif "deliveries" in record:
            yield from _read_event(record)
        else:
            yield from self._read_attempt(record)

    def _read_attempt(self, record: Mapping[str, Any]) -> Iterator[Check]:
        """Yields the check of a delivery that is done or dead. Keeps any other one, since it may be attempted again."""
        key = _KEY_OF_DELIVERY(record)
        self._unfinished.pop(key, None)
        check = _read_delivery(record, record["event"], record["type"])
        if record["state"] in ("done", "dead"):
            yield check
        else:
            self._unfinished[key] = check

    def read_tail(self, tail: Mapping[str, Any]) -> Iterator[Check]:
        """Yields the checks that are decided when all records are known."""
        yield from self._unfinished.values()
        for change in tail.get("changes", ()):
            yield from self._read_change(change)
        if "coverage" in tail:
            yield from _read_coverage(tail)
        for finding in tail.get("findings", ()):
            problem = _read_finding(finding)
            name = _name_finding(finding, self._command)
            if problem.line:
                name += f" (line {problem.line})"
            yield Check(problem.file or self._command, name, (problem,), file=problem.file, line=problem.line)

    def _read_change(self, change: Mapping[str, Any]) -> Iterator[Check]:
        """Yields a check for the first lost or gained delivery of each cause."""
        # A changed condition may lose thousands of deliveries, and a reviewer needs one example.
        key = _KEY_OF_CHANGE(change)
        if key in self._changes:
            return
        self._changes.add(key)
        name = f"{change['handler']} by {change['route']}"
        title = f"{change['change']} deliveries"
        message = f"{name}: {change['reason']}, for example {change['type']} {change['event']}"
        problem = Problem(
            change["severity"],
            title,
            message,
            file=change["file"],
            line=change["line"],
            column=change["column"],
        )
        yield Check(change["type"], f"{change['change']}: {name}", (problem,), file=change["file"], line=change["line"])

    def read_result(self, result: ValidationResult) -> Iterator[Check]:
        """Yields the check of an event, or a check for each finding about a file."""
        event = result.event
        problems = tuple(map(_read_finding_value, result.findings))
        # `check` and `doctor` report findings about files, each of which is a check.
        if event is None and self._command != "validate":
            for problem in problems:
                name = f"{problem.title} {problem.message}"
                yield Check(result.file, name, (problem,), file=problem.file or result.file, line=problem.line)
            if not problems:
                yield Check(result.file, f"evtool {self._command}", file=result.file)
            return
        name = "not an event"
        if event:
            name = event.type
            # An id that evtool made is another one in every run, so reports of two runs could not be compared.
            if event.has_own_id:
                name += f" {event.id}"
        yield Check(result.file, f"{name} (line {result.line})", problems, file=result.file, line=result.line)


class CheckReport(Report, ABC):
    """The base of reports that show the checks of any command."""

    def __init__(self, command: str):
        self._reader = CheckReader(command)

    def add_result(self, result: ValidationResult) -> None:
        """Takes the checks of a validation result."""
        self._take(self._reader.read_result(result))

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Takes the checks that a record decides."""
        self._take(self._reader.read_record(record))

    def end(self, tail: Mapping[str, Any]) -> None:
        """Takes the remaining checks."""
        self._take(self._reader.read_tail(tail))

    @abstractmethod
    def _take(self, checks: Iterable[Check]) -> None:
        """Shows or collects checks."""


def list_problems(checks: Iterable[Check]) -> Iterator[Problem]:
    """Yields all problems of checks."""
    for check in checks:
        yield from check.problems


def _name_finding(finding: Mapping[str, Any], command: str) -> str:
    """Returns the subject of a finding: an event, or in scenario files also another mistake."""
    if finding["event_type"]:
        return f"{finding['event_type']} {finding['event_id'] or ''}".rstrip()
    if command == "test":
        return f"{finding['code']} {finding['message']}"
    return "not an event"


def _read_finding_value(finding: Finding) -> Problem:
    return Problem(
        finding.severity,
        finding.code,
        finding.message,
        finding.suggestion,
        finding.file,
        finding.line,
        finding.column,
        finding.width,
    )


def _read_finding(finding: Mapping[str, Any]) -> Problem:
    return Problem(
        finding["severity"],
        finding["code"],
        finding["message"],
        finding["suggestion"],
        finding["file"],
        finding["line"],
        finding["column"],
    )


def _read_event(record: Mapping[str, Any]) -> Iterator[Check]:
    """Yields a check for each delivery of an event, or one that passed if it has none."""
    if not record["deliveries"]:
        reason = "no route"
        if record.get("status") == "duplicate":
            reason = "already stored"
        yield Check(record["type"], f"{reason}, event {record['id']}")
    for delivery in record["deliveries"]:
        yield _read_delivery(delivery, record["id"], record["type"])


def _read_delivery(delivery: Mapping[str, Any], event_id: str, event_type: str) -> Check:
    state, error = delivery["state"], delivery.get("error")
    name = f"{delivery['handler']} by {delivery['route']}, event {event_id}"
    duration_ms = delivery.get("duration_ms") or 0
    if state in PASSED:
        return Check(event_type, name, duration_ms=duration_ms)
    reason = ""
    if error:
        reason = f": {error}"
    if state in FAILED or (state == "ready" and error):
        title = "failed delivery"
        if state == "dead":
            title = "dead delivery"
        condition = ""
        if delivery.get("condition"):
            condition = f" [{delivery['condition']}]"
        message = f"{delivery['handler']} by route {delivery['route']}, {event_type} {event_id}{reason}{condition}"
        return Check(event_type, name, (Problem("error", title, message),), duration_ms=duration_ms)
    return Check(event_type, name, open=f"{state}{reason}")


def _read_scenario(scenario: Mapping[str, Any]) -> Check:
    """Reads a scenario of `evtool test`. Each expectation that does not hold is a problem, at its place if known."""
    problems = []
    for failure in scenario["failures"]:
        text = describe_failure(failure["what"], failure["expected"], failure["actual"], failure["reason"])
        problem = Problem(
            "error",
            "failed scenario",
            f"{scenario['name']}: {text}",
            file=failure.get("file") or scenario["file"],
            line=failure.get("line") or scenario["line"],
            column=failure.get("column"),
        )
        problems.append(problem)
    return Check(scenario["file"], scenario["name"], tuple(problems), file=scenario["file"], line=scenario["line"])


def _read_coverage(tail: Mapping[str, Any]) -> Iterator[Check]:
    """Yields a check that the coverage is high enough, with `--fail-under`."""
    least = tail["summary"].get("fail_under")
    if least is not None:
        percent = tail["coverage"]["alternatives"]["percent"]
        message = f"the scenarios cover {percent} % of the alternatives, less than {least} %"
        problems = []
        if percent < least:
            problems.append(Problem("error", "coverage", message))
        yield Check("coverage", f"at least {least} % of the alternatives", tuple(problems))
