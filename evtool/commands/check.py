"""The command `evtool check`: finds mistakes in routes, handlers, schemas and samples without calling a handler."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from evtool.checks import edits
from evtool.checks.loading import load_context
from evtool.checks.runner import run_checks
from evtool.checks.settings import SEVERITIES, read_settings
from evtool.cli.options import Argument, Option
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, ConfigError, UsageError
from evtool.findings import baseline as baseline_file
from evtool.findings.finding import Finding, has_errors
from evtool.findings.phrases import list_some
from evtool.paths import display_path
from evtool.reports.base import Subject
from evtool.reports.formats.text import FindingsReport
from evtool.schemas.validation import ValidationResult
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, Segment, format_count
from evtool.terminal.styles import SEVERITY_STYLES

# Files that a note names.
MAX_FILES = 5


class _Result(NamedTuple):
    """The result of a check of all files.

    `ignored` counts findings that settings or comments turn off, `files` names the files that were read, `routes`
    counts the routes that were checked. `is_unreadable` means that a file could not be read in its own format.
    """

    findings: list[Finding]
    ignored: int
    files: list[str]
    is_unreadable: bool
    routes: int


def check(
    session: Session,
    paths: Annotated[
        list[str], Argument("[PATH]...", "rule sources: routes.yaml or a template; default: those of the project")
    ] = [],  # noqa: B006  (never changed)
    *,
    select: Annotated[
        list[str], Option("--select", "only findings with this code, or with this start of a code", "CODE")
    ] = [],  # noqa: B006
    ignore: Annotated[
        list[str], Option("--ignore", "no findings with this code, or with this start of a code", "CODE")
    ] = [],  # noqa: B006
    strict: Annotated[bool, Option("--strict", "exit with code 1 also for a warning")] = False,
    fix: Annotated[bool, Option("--fix", "fix findings that need a change of one word or of quotes")] = False,
    add_ignores: Annotated[bool, Option("--add-ignores", "add an ignore comment for each finding")] = False,
    baseline: Annotated[str | None, Option("--baseline", "omit the findings that this file lists", "FILE")] = None,
    write_baseline: Annotated[bool, Option("--write-baseline", "write all findings to the --baseline file")] = False,
) -> int:
    """Find mistakes in routes, handlers, schemas, samples and scenarios without calling a handler.

    Each finding has a code; `evtool explain EV305` explains one. Exit code 1 if a finding is an error, 2 if a file
    cannot be read in its own format.

    Example: evtool check --strict -o text -o junit=check.xml
    """
    if write_baseline and baseline is None:
        raise UsageError("--write-baseline needs --baseline FILE, the file to write")
    files: Sequence[str | None] = paths or [session.routes]

    def examine() -> _Result:
        return _check_all(session, files, select, ignore)

    result = examine()
    # Fixed findings do not belong into a baseline, and accepted findings need no comment: hence this order.
    if fix:
        result = _fix(session, result, examine)
    if baseline is not None:
        result = _compare(session, result, Path(baseline), writing=write_baseline, is_partial=bool(select or ignore))
    if add_ignores:
        result = _add_ignores(session, result, examine)
    counts = Counter(finding.severity for finding in result.findings)
    text_report = partial(_CheckReport, quiet=session.quiet, routes=result.routes)
    with session.open_report(Subject("check", "findings", text_report)) as report:
        for finding in result.findings:
            report.add_result(ValidationResult(finding.file or "", finding.line or 1, None, (finding,)))
        if not result.findings:
            for file in result.files:
                report.add_result(ValidationResult(file, 1, None))
        summary = {f"{severity}s": counts[severity] for severity in SEVERITIES}
        report.end({"summary": summary | {"ignored": result.ignored}})
    if result.is_unreadable:
        return EXIT_USAGE
    return _rate(counts, strict=strict)


def _rate(counts: Counter[str], *, strict: bool) -> int:
    if counts["error"] or (strict and counts["warning"]):
        return EXIT_FINDINGS
    return EXIT_OK


def _check_all(session: Session, files: Sequence[str | None], select: Sequence[str], ignore: Sequence[str]) -> _Result:
    # Two rule sources may share a schema, so that they have the same finding. The keys of a dict keep their order.
    findings: dict[Finding, None] = {}
    names, ignored, routes, is_unreadable = [], 0, 0, False
    for file in files:
        try:
            project = session._replace(routes=file).load_project()
            settings = read_settings(project, select, ignore)
            context = load_context(project, shows_details=session.verbose > 0)
            outcome = run_checks(context, settings, Progress("checking", "check", quiet=session.quiet).track)
        except ConfigError as error:
            # Without findings it concerns the command line, not one file.
            if not error.findings:
                raise
            findings |= dict.fromkeys(error.findings)
            is_unreadable = True
            continue
        names.append(project.display_name)
        findings |= dict.fromkeys(outcome.findings)
        ignored += outcome.ignored
        routes += len(context.routes)
    return _Result(list(findings), ignored, names, is_unreadable, routes)


def _fix(session: Session, result: _Result, examine: Callable[[], _Result]) -> _Result:
    """Fixes findings in the files and checks again. Restores the files if that causes other errors."""
    count, originals = edits.fix_files(result.findings)
    if not originals:
        session.print_note("nothing can be fixed by a change of one word or of quotes")
        return result
    after = examine()
    if after.is_unreadable > result.is_unreadable or _count_errors(after) > _count_errors(result):
        edits.restore_files(originals)
        session.print_note("nothing was fixed: the changes would cause other errors")
        return result
    session.print_note(f"fixed {format_count(count, 'finding')} in {_list_files(originals)}")
    return after


def _compare(session: Session, result: _Result, file: Path, *, writing: bool, is_partial: bool) -> _Result:
    """Removes the findings that a baseline accepts. `is_partial` means that --select or --ignore is given."""
    try:
        if writing:
            baseline_file.write(result.findings, file)
            session.print_note(f"wrote {format_count(len(result.findings), 'finding')} to {file}")
        comparison = baseline_file.compare(result.findings, file)
    except baseline_file.BaselineError as error:
        raise UsageError(f"--baseline {file}: {error}") from None
    except OSError as error:
        raise UsageError(f"--baseline {file}: {error.strerror}; --write-baseline writes it") from None
    # A partial check does not find everything that the baseline lists, so that these entries may still be needed.
    if comparison.outdated and not is_partial and not result.is_unreadable:
        entries = format_count(comparison.outdated, "finding")
        session.print_note(f"{entries} of {file} no longer found; --write-baseline removes such entries")
    return result._replace(findings=comparison.new, ignored=result.ignored + comparison.accepted)


def _add_ignores(session: Session, result: _Result, examine: Callable[[], _Result]) -> _Result:
    """Adds ignore comments, and notes how many findings are in files that cannot have comments, such as JSON."""
    before = len(result.findings)
    originals = edits.add_ignores(result.findings)
    after = result
    if originals:
        after = examine()
    # A new comment moves the lines below it, so that findings are compared without their lines.
    known = {_without_line(finding) for finding in result.findings}
    kept = [finding for finding in after.findings if _without_line(finding) in known]
    if originals:
        session.print_note(f"added ignore comments to {_list_files(originals)}")
    if kept:
        advice = "use `check: {ignore: [CODE:ROUTE]}` in routes.yaml, or --baseline"
        session.print_note(f"{len(kept)} of {format_count(before, 'finding')} cannot have a comment; {advice}")
    return after._replace(findings=kept)


def _without_line(finding: Finding) -> Finding:
    return finding._replace(line=0, excerpt=None)


def _count_errors(result: _Result) -> int:
    return sum(has_errors([finding]) for finding in result.findings)


def _list_files(files: Iterable[Path]) -> str:
    return list_some([display_path(file) for file in files], MAX_FILES)


class _CheckReport(FindingsReport):
    """The text report: the findings file by file, then their number for each severity."""

    def __init__(self, screen: Screen, *, quiet: bool = False, routes: int):
        super().__init__(screen, quiet=quiet)
        self._screen, self._quiet, self._routes, self._file = screen, quiet, routes, ""

    def add_result(self, result: ValidationResult) -> None:
        """Shows a finding, with an empty line before the first one of another file."""
        if result.findings and self._file and result.file != self._file:
            self._screen.print_line("")
        if result.findings:
            self._file = result.file
        super().add_result(result)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the number of findings for each severity."""
        if self._quiet:
            return
        summary = tail["summary"]
        segments: list[Segment] = []
        separator = ""
        for severity in SEVERITIES:
            count = summary[f"{severity}s"]
            if count:
                segments += [separator, (format_count(count, severity), SEVERITY_STYLES[severity])]
                separator = ", "
        if not segments:
            segments = [f"checked {format_count(self._routes, 'route')}: ", ("nothing found", "bold green")]
        if summary["ignored"]:
            segments.append(f", {summary['ignored']:,} ignored")
        self._screen.print_line(*segments)
