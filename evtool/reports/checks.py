"""Reads the records of any command as checks that passed, failed or were left open, for the reports of CI systems."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location
from evtool.reports.base import Record
from evtool.scenarios.expectations import describe_failure
from evtool.schemas.validation import ValidationResult

PASSED = ("done", "would fire")
FAILED = ("failed", "dead")
FAILURE_KEYS = ("what", "expected", "actual", "reason")  # of a scenario


class Problem(NamedTuple):
    """A finding, or a delivery that failed."""

    severity: str  # error | warning | note
    title: str  # the code of a finding
    message: str
    suggestion: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    width: int = 1  # characters from the column on

    @property
    def location(self) -> str:
        """File, line and column as far as they are known."""
        return format_location(self.file, self.line, self.column)

    @property
    def advice(self) -> str:
        """The message, and the suggestion behind it."""
        return self.message + (f"; {self.suggestion}" if self.suggestion else "")


class Check(NamedTuple):
    """An event, a delivery or a scenario, and the problems with it. `open`: why it neither passed nor failed."""

    group: str  # the file, or the type of the event
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
        self._changes: set[tuple[Any, ...]] = set()  # causes of lost and gained deliveries

    def add(self, record: Record) -> Iterator[Check]:
        """The checks that a record decides."""
        if isinstance(record, ValidationResult):
            yield from self._read_result(record)
        elif "failures" in record:
            yield _read_scenario(record)
        elif "change" in record:
            yield from self._read_change(record)
        elif "fires" in record:
            for fire in record["fires"]:
                yield _read_delivery({**fire, "state": fire["action"]}, record["id"], record["type"])
        elif "deliveries" in record:
            if not record["deliveries"]:
                reason = "already stored" if record.get("status") == "duplicate" else "no route"
                yield Check(record["type"], f"{reason}, event {record['id']}")
            for delivery in record["deliveries"]:
                yield _read_delivery(delivery, record["id"], record["type"])
        else:
            key = tuple(record[name] for name in ("event", "type", "route", "handler", "replay"))
            self._unfinished.pop(key, None)
            check = _read_delivery(record, record["event"], record["type"])
            if record["state"] in ("done", "dead"):
                yield check
            else:
                self._unfinished[key] = check

    def end(self, tail: Mapping[str, Any]) -> Iterator[Check]:
        """The checks that are decided when there are no more records."""
        yield from self._unfinished.values()
        for change in tail.get("changes", ()):
            yield from self._read_change(change)
        if "coverage" in tail:
            yield from _read_coverage(tail)
        for finding in tail.get("findings", ()):
            problem = _read_finding(finding)
            name = _name_finding(finding, self._command)
            line = ""
            if problem.line:
                line = f" (line {problem.line})"
            group = problem.file or self._command
            yield Check(group, f"{name}{line}", (problem,), file=problem.file, line=problem.line)

    def _read_change(self, change: Mapping[str, Any]) -> Iterator[Check]:
        """A lost or gained delivery: the first one of each cause, since a changed condition has thousands."""
        key = tuple(change[name] for name in ("change", "route", "handler", "file", "line", "column"))
        if key in self._changes:
            return
        self._changes.add(key)
        name = f"{change['handler']} by {change['route']}"
        title = f"{change['change']} deliveries"
        message = f"{name}: {change['reason']}, for example {change['type']} {change['event']}"
        location = (change["file"], change["line"], change["column"])
        problem = Problem(change["severity"], title, message, None, *location)
        yield Check(change["type"], f"{change['change']}: {name}", (problem,), file=change["file"], line=change["line"])

    def _read_result(self, result: ValidationResult) -> Iterator[Check]:
        event = result.event
        problems = tuple(map(_read_finding_value, result.findings))
        if event is None and self._command != "validate":
            for problem in problems:
                name = f"{problem.title} {problem.message}"
                yield Check(result.file, name, (problem,), file=problem.file or result.file, line=problem.line)
            if not problems:
                yield Check(result.file, f"evtool {self._command}", file=result.file)
            return
        if event and event.has_own_id:
            name = f"{event.type} {event.id}"
        elif event:
            name = event.type
        else:
            name = "not an event"
        yield Check(result.file, f"{name} (line {result.line})", problems, file=result.file, line=result.line)


def list_problems(checks: Iterable[Check]) -> Iterator[Problem]:
    """All problems of checks."""
    return (problem for check in checks for problem in check.problems)


def _name_finding(finding: Mapping[str, Any], command: str) -> str:
    """What a finding is about: an event, in scenarios also another mistake."""
    if finding["event_type"]:
        return f"{finding['event_type']} {finding['event_id'] or ''}".rstrip()
    if command == "test":
        return f"{finding['code']} {finding['message']}"
    return "not an event"


def _read_finding_value(finding: Finding) -> Problem:
    location = (finding.file, finding.line, finding.column, finding.width)
    return Problem(finding.severity, finding.code, finding.message, finding.suggestion, *location)


def _read_finding(finding: Mapping[str, Any]) -> Problem:
    location = (finding["file"], finding["line"], finding["column"])
    return Problem(finding["severity"], finding["code"], finding["message"], finding["suggestion"], *location)


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
    """A scenario of `evtool test`: one problem for each expectation that does not hold, at its own place if known."""
    problems = [
        Problem(
            "error",
            "failed scenario",
            f"{scenario['name']}: {describe_failure(*(failure[key] for key in FAILURE_KEYS))}",
            file=failure.get("file") or scenario["file"],
            line=failure.get("line") or scenario["line"],
            column=failure.get("column"),
        )
        for failure in scenario["failures"]
    ]
    return Check(scenario["file"], scenario["name"], tuple(problems), file=scenario["file"], line=scenario["line"])


def _read_coverage(tail: Mapping[str, Any]) -> Iterator[Check]:
    """A check that the coverage is high enough, if that was asked for."""
    least = tail["summary"].get("fail_under")
    if least is not None:
        percent = tail["coverage"]["alternatives"]["percent"]
        message = f"the scenarios cover {percent} % of the alternatives, less than {least} %"
        problems = (Problem("error", "coverage", message),) if percent < least else ()
        yield Check("coverage", f"at least {least} % of the alternatives", problems)
