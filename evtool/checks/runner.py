"""Runs the checks of a project and applies its settings and ignore comments to what they find."""

from collections.abc import Callable, Iterable
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

COMMENT_CODES = ("EV901", "EV902")


class CheckResult(NamedTuple):
    """What is reported of a project, in the order of its files, and how many findings were ignored."""

    findings: list[Finding]
    ignored: int


def run_checks(
    context: CheckContext,
    settings: CheckSettings,
    track: Callable[[Iterable[Check]], Iterable[Check]] = lambda checks: checks,
) -> CheckResult:
    """Everything that the selected checks find, without what is ignored. `track` counts the checks."""
    checks = [check for check in CHECKS if any(map(settings.may_select, check.codes))]
    examined = [code for check in checks for code in check.codes]
    found = [finding for check in track(checks) for finding in check.run(context) if settings.selects(finding)]
    found = _drop_consequences(found)
    comments = _read_comments(context, found)
    kept, ignored, used = apply_comments(dict.fromkeys(map(settings.set_severity, found)), comments)
    if any(map(settings.may_select, COMMENT_CODES)):
        about_comments = check_comments(comments, used, examined)
        kept += map(settings.set_severity, filter(settings.selects, about_comments))
    reported = [finding for finding in kept if not settings.ignores(finding)]
    reported.sort(key=lambda finding: _sort_key(context, finding))
    return CheckResult(reported, len(ignored) + len(kept) - len(reported))


def _drop_consequences(findings: list[Finding]) -> list[Finding]:
    """The findings without those about the type of a number that YAML changes: it should be a string in any case."""
    changed = {(finding.file, finding.line, finding.column) for finding in findings if finding.code == "EV022"}
    return [
        finding
        for finding in findings
        if finding.code != "EV302" or (finding.file, finding.line, finding.column) not in changed
    ]


def _sort_key(context: CheckContext, finding: Finding) -> tuple[bool, str, int, int]:
    """The project file first, then the others."""
    is_other = finding.file != context.project.display_name
    return (is_other, finding.file or "", finding.line or 0, finding.column or 0)


def _read_comments(context: CheckContext, findings: Iterable[Finding]) -> list[IgnoreComment]:
    """The ignore comments in the project file, in its rule sources and in the files of findings."""
    rules = context.project.document.value.get("rules")
    if isinstance(rules, list):
        entries = rules
    else:
        entries = [rules]
    sources = [context.project.folder / name for name in entries if isinstance(name, str)]
    names = [context.project.display_name, *map(display_path, sources)]
    names += [finding.file for finding in findings if finding.file]
    comments = []
    for name in dict.fromkeys(names):
        if has_comments(name):
            try:
                text = Path(name).read_bytes().decode(errors="replace").removeprefix("\ufeff")
            except OSError:
                continue  # another finding says so
            comments += find_ignore_comments(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    return comments
