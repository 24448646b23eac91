"""The command `evtool check`: finds mistakes in routes, handlers, schemas and samples without running anything."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from evtool.checks.loading import load_context
from evtool.checks.registry import CHECKS
from evtool.cli.options import Argument, Option
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, ConfigError
from evtool.findings.finding import Finding
from evtool.reports.base import Subject
from evtool.reports.formats.text import FindingsReport
from evtool.routes.project import Project
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Segment, format_count
from evtool.terminal.styles import SEVERITY_STYLES


def check(
    session: Session,
    paths: Annotated[
        list[str], Argument("[PATH]...", "files with rules: routes.yaml or a template; by default the project")
    ] = [],  # noqa: B006  (never changed)
    *,
    strict: Annotated[bool, Option("--strict", "exit with 1 for a warning, too")] = False,
) -> int:
    """Find mistakes in routes, handlers, schemas and samples without running anything.

    Exit code 1 if there is an error, 2 if a file cannot be read in its own format.

    Example: evtool check --strict
    """
    counts: Counter[str] = Counter()
    is_unreadable = False
    with session.open_report(
        Subject("check", "findings", lambda screen: _CheckReport(screen, quiet=session.quiet))
    ) as report:
        for routes_file in paths or [session.routes]:
            try:
                project = session._replace(routes=routes_file).load_project()
                findings = list(_check_project(project, session))
            except ConfigError as error:
                findings, is_unreadable = list(error.findings), True
            for finding in findings:
                counts[finding.severity] += 1
                report.add(ValidationResult(finding.file or "", finding.line or 1, None, (finding,)))
        summary = {f"{severity}s": counts[severity] for severity in ("error", "warning", "note")}
        report.end({"summary": {**summary, "ignored": 0}})
    has_failed = counts["error"] or (strict and counts["warning"])
    return EXIT_USAGE if is_unreadable else EXIT_FINDINGS if has_failed else EXIT_OK


def _check_project(project: Project, session: Session) -> Iterator[Finding]:
    context = load_context(project, shows_details=session.verbose > 0)
    for each in CHECKS:
        yield from each.run(context)


class _CheckReport(FindingsReport):
    """The text report: the findings, then how many there are of each severity."""

    def end(self, tail: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        summary = tail["summary"]
        counts = [
            (format_count(summary[f"{severity}s"], severity), SEVERITY_STYLES[severity])
            for severity in ("error", "warning", "note")
            if summary[f"{severity}s"]
        ]
        ignored = [f"{summary['ignored']:,} ignored"] if summary["ignored"] else []
        segments: list[Segment] = []
        for part in [*(counts or [("nothing found", "bold green")]), *ignored]:
            segments += [", ", part] if segments else [part]
        self._screen.print_line(*segments)
