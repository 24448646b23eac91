"""The settings of `evtool check`, from options and `check:` of routes.yaml: selected codes, and their severity."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evtool.checks.base import list_strings
from evtool.errors import UsageError
from evtool.findings.codes import CODES
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.routes.project import Project

SEVERITIES = ("error", "warning", "note")


class CheckSettings(NamedTuple):
    """Codes, or the starts of codes, that are selected and ignored. `CODE:ROUTE` ignores a code for one route."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, str] = {}

    def may_select(self, code: str) -> bool:
        """Whether findings of a code, or of some code with this start, are selected."""
        # `--select EV305` has to run the check with the codes "EV3", and `--select EV3` the one with "EV305".
        return not self.select or any(code.startswith(entry) or entry.startswith(code) for entry in self.select)

    def selects(self, finding: Finding) -> bool:
        """Whether a finding is selected; without a selection all are."""
        return not self.select or finding.code.startswith(self.select)

    def ignores(self, finding: Finding) -> bool:
        """Whether a finding is ignored."""
        for entry in self.ignore:
            code, _, route = entry.partition(":")
            if finding.code.startswith(code) and route in ("", finding.route):
                return True
        return False

    def set_severity(self, finding: Finding) -> Finding:
        """Returns the finding with the severity that the longest entry for its code gives."""
        entries = [entry for entry in self.severity if finding.code.startswith(entry)]
        if entries:
            return finding._replace(severity=self.severity[max(entries, key=len)])
        return finding


def read_settings(project: Project, select: Sequence[str], ignore: Sequence[str]) -> CheckSettings:
    """Reads the settings of a project and of the command line. Raises UsageError for an option that is not a code."""
    section = project.document.value.get("check")
    if not isinstance(section, Mapping):
        section = {}
    severity: dict[str, str] = {}
    own_severity = section.get("severity")
    if isinstance(own_severity, Mapping):
        # Loading routes.yaml reports any other value.
        severity = {code: value for code, value in own_severity.items() if value in SEVERITIES}
    # `--select` replaces the selection of the project, but `--ignore` adds to what it ignores.
    selected = _split("--select", select) or list_strings(section.get("select"))
    ignored = _split("--ignore", ignore) + list_strings(section.get("ignore"))
    return CheckSettings(tuple(selected), tuple(ignored), severity)


def _split(option: str, values: Sequence[str]) -> list[str]:
    """Splits the codes of an option that may be given several times, each time with one code or several: EV3,EV401."""
    codes = list(filter(None, map(str.strip, ",".join(values).split(","))))
    for code in codes:
        if not any(known.startswith(code) for known in CODES):
            hint = did_you_mean(code, CODES) or "a code such as EV305, or the start of one such as EV3"
            raise UsageError(f"{option}: there is no code {code}; {hint}")
    return codes
