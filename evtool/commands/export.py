"""The command `evtool export`: writes routes as a template, or as EventBridge's JSON."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.interchange.writers.base import build_rules
from evtool.interchange.writers.registry import WRITERS
from evtool.reports.base import Record, Subject, open_document
from evtool.terminal.screen import Screen


def export(session: Session) -> int:
    """Write the routes as rules of EventBridge: -o cloudformation, sam, terraform or eventbridge.

    Handlers are targets. An ARN that is not known here is a parameter of the template. What EventBridge does not have,
    such as the pauses between attempts, is reported and left out. `evtool import` reads each form.

    Example: evtool export -o cloudformation=rules.yaml
    """
    if not session.output or any(entry.partition("=")[0] == "text" for entry in session.output):
        raise UsageError(f"name the form of the export with -o: {', '.join(WRITERS)}; -o FORM=FILE writes a file")
    project = session.load_project()
    load_routes(session, project)
    rules, findings = build_rules(project)
    formats = {name: open_document(partial(writer.write, rules)) for name, writer in WRITERS.items()}
    with session.open_report(Subject("export", "rules", _Text, formats)) as report:
        for rule in rules:
            report.add({"name": rule.name, "bus": rule.bus, "targets": [target.name for target in rule.targets]})
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": {"rules": len(rules)}})
    session.show_warnings(findings)
    if any(finding.severity == "error" for finding in findings):
        return EXIT_FINDINGS
    return EXIT_OK


class _Text:
    """The text report, which `export` refuses: standard output has the export itself."""

    def __init__(self, screen: Screen):
        """Needs nothing of the screen."""

    def add(self, record: Record) -> None:
        """Shows nothing."""

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows nothing."""
