"""Runs the checks of a project, and applies its settings and ignore comments to the findings."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from evtool.checks.base import Check, CheckContext
from evtool.checks.registry import CHECKS
from evtool.checks.settings import CheckSettings
from evtool.findings.finding import Finding
from evtool.findings.suppressions import (
    IgnoreComment,
    apply_comments,
    check_comments,
    find_ignore_comments,
    has_comments,
)
from evtool.paths import display_path

# The findings about ignore comments themselves.
COMMENT_CODES = ("EV901", "EV902")


class CheckResult(NamedTuple):
    """The findings about a project, in the order of its files, and the number of the ignored ones."""

    findings: list[Finding]
    ignored: int


def run_checks(
    context: CheckContext,
    settings: CheckSettings,
    track: Callable[[Iterable[Check]], Iterable[Check]] | None = None,
) -> CheckResult:
    """Runs the selected checks. Returns their findings without the ignored ones. `track` counts the checks."""
    checks = [check for check in CHECKS if any(map(settings.may_select, check.codes))]
    tracked: Iterable[Check] = checks
    if track:
        tracked = track(checks)
    examined: list[str] = []
    findings: list[Finding] = []
    for check in tracked:
        examined += check.codes
        findings += filter(settings.selects, check.run(context))
    findings = _drop_consequences(findings)
    comments = _read_comments(context, findings)
    # Two checks may have the same finding; it is reported once.
    unique = dict.fromkeys(map(settings.set_severity, findings))
    kept, ignored, used = apply_comments(unique, comments)
    # A comment that ignores nothing is a finding, which no comment can ignore.
    if any(map(settings.may_select, COMMENT_CODES)):
        about_comments = check_comments(comments, used, examined)
        kept += map(settings.set_severity, filter(settings.selects, about_comments))
    reported = [finding for finding in kept if not settings.ignores(finding)]
    reported.sort(key=partial(_sort_key, context.project.display_name))
    return CheckResult(reported, len(ignored) + len(kept) - len(reported))


def _drop_consequences(findings: list[Finding]) -> list[Finding]:
    """Returns the findings without those about the type of a number that YAML changes."""
    # Such a number has to become a string in any case, which EV022 demands.
    changed = {_position_of(finding) for finding in findings if finding.code == "EV022"}
    return [finding for finding in findings if finding.code != "EV302" or _position_of(finding) not in changed]


def _position_of(finding: Finding) -> tuple[str | None, int | None, int | None]:
    return finding.file, finding.line, finding.column


def _sort_key(project_file: str, finding: Finding) -> tuple[bool, str, int, int]:
    # The project file comes first, then the others.
    is_other = finding.file != project_file
    return (is_other, finding.file or "", finding.line or 0, finding.column or 0)


def _read_comments(context: CheckContext, findings: Iterable[Finding]) -> list[IgnoreComment]:
    """Reads the ignore comments in the project file, in its rule sources and in the files of findings."""
    names = [context.project.display_name]
    rules = context.project.document.value.get("rules")
    if not isinstance(rules, list):
        rules = [rules]
    for name in rules:
        if isinstance(name, str):
            names.append(display_path(context.project.folder / name))
    names += [finding.file for finding in findings if finding.file]
    comments = []
    for name in dict.fromkeys(names):
        if has_comments(name):
            try:
                text = Path(name).read_bytes().decode(errors="replace").removeprefix("\ufeff")
            except OSError:
                # Another finding reports that the file cannot be read.
                continue
            comments += find_ignore_comments(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    return comments
