"""The command `evtool export`: writes routes as a template, or as EventBridge JSON."""

from functools import partial

from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.findings.finding import has_errors, list_finding_records
from evtool.interchange.writers.base import build_rules
from evtool.interchange.writers.registry import WRITERS
from evtool.reports.base import Subject, open_document, open_nothing


def export(session: Session) -> int:
    """Write the routes as EventBridge rules: -o cloudformation, sam, terraform or eventbridge.

    Handlers become targets. An ARN that is not known becomes a parameter of the template. What EventBridge does not
    support, such as the delays between attempts, is reported and left out. `evtool import` reads each form.

    Example: evtool export -o cloudformation=rules.yaml
    """
    formats = session.list_formats()
    if not formats or "text" in formats:
        raise UsageError(f"name the form of the export with -o: {', '.join(WRITERS)}; -o FORM=FILE writes a file")
    project = session.load_project()
    # This reports the problems of routes.yaml. The export itself needs the document, not the compiled patterns.
    load_routes(session, project)
    rules, findings = build_rules(project)
    documents = {name: open_document(partial(writer.write, rules)) for name, writer in WRITERS.items()}
    # `export` refuses the text report: the export itself goes to standard output.
    with session.open_report(Subject("export", "rules", open_nothing, documents)) as report:
        for rule in rules:
            report.add_record({"name": rule.name, "bus": rule.bus, "targets": [target.name for target in rule.targets]})
        report.end({"findings": list_finding_records(findings), "summary": {"rules": len(rules)}})
    session.show_warnings(findings)
    if has_errors(findings):
        return EXIT_FINDINGS
    return EXIT_OK
