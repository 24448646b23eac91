"""The command `evtool verify aws`: asks AWS whether each route matches each sample, and reports disagreements."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, NamedTuple

from evtool.aws.client import AwsSettings, describe, explain_errors, open_client
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import Argument, AwsEndpoint, AwsProfile, AwsRegion
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session, create_event_defaults
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.event import Event
from evtool.findings.finding import Finding, list_finding_records
from evtool.paths import display_path
from evtool.patterns.pattern import Pattern
from evtool.reports.base import Report, Subject
from evtool.routes.project import Project
from evtool.schemas.validation import Rules, validate_events
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, Segment, format_count

# The fields that TestEventPattern requires. EventBridge adds them to a published event, so that samples may lack them.
ENVELOPE = {
    "id": "00000000-0000-0000-0000-000000000000",
    "account": "123456789012",
    "time": "1970-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
}


# How a message names the answer of evtool or AWS.
ANSWERS = {True: "matches", False: "does not match"}


class _Comparison(NamedTuple):
    """Whether a pattern matches an event, for evtool and for AWS. `reason` is why AWS gave no answer."""

    route: str
    event: Event
    evtool: bool
    aws: bool | None
    reason: str | None = None

    @property
    def agrees(self) -> bool:
        return self.evtool is self.aws


def verify_aws(
    session: Session,
    events: Annotated[
        list[str], Argument("[EVENT...]", "files, folders or samples; default: the project's samples")
    ] = [],  # noqa: B006
    *,
    region: AwsRegion = None,
    endpoint: AwsEndpoint = None,
    profile: AwsProfile = None,
) -> int:
    """Ask AWS (TestEventPattern) whether each route matches each sample, and report every disagreement.

    Nothing is created or published in AWS. If a sample lacks fields that AWS requires, such as account, they are added
    for both. Routes with unknown values, and CloudEvents, which EventBridge does not support, are left out. Exit code
    1 if AWS and evtool disagree.

    Example: evtool verify aws --region eu-central-1
    """
    project = session.load_project()
    patterns = {name: route.pattern for name, route in load_routes(session, project).routes.items()}
    known = {name: pattern for name, pattern in patterns.items() if not pattern.unknowns}
    paths = resolve_paths(events, project)
    if not paths:
        paths = [display_path(path) for path in project.samples]
    inputs = EventInputs(paths)
    samples, skipped = _read_samples(session, inputs)
    if not samples or not known:
        raise UsageError(
            f"nothing to verify: {format_count(len(known), 'route')}, {format_count(len(samples), 'event')}"
        )
    client = open_client("events", AwsSettings(region, endpoint, profile))
    subject = Subject("verify aws", "disagreements", partial(_VerifyReport, quiet=session.quiet))
    findings: list[Finding] = []
    progress = Progress("asking AWS", "call", quiet=session.quiet)
    with session.open_report(subject) as report:
        for comparison in progress.track(_compare(client, project, known, samples)):
            if not comparison.agrees:
                finding = _build_finding(project, comparison)
                findings.append(finding)
                session.show_findings([finding])
                report.add_record(_build_record(comparison))
        summary = {
            "routes": len(known),
            "events": len(samples),
            "disagreements": len(findings),
            "skipped": skipped + len(patterns) - len(known),
        }
        report.end({"findings": list_finding_records(findings), "summary": summary})
    if findings:
        return inputs.worst_exit_code(EXIT_FINDINGS)
    return inputs.worst_exit_code(EXIT_OK)


def _read_samples(session: Session, inputs: EventInputs) -> tuple[list[Event], int]:
    """Returns the events that EventBridge supports, and the number of the other ones."""
    samples: list[Event] = []
    skipped = 0
    for result in inputs.check(validate_events(inputs.read(), Rules(None), create_event_defaults())):
        session.show_findings(result.findings)
        # The payload of a CloudEvent is `data`.
        if result.event is not None and result.event.payload_key != "data":
            samples.append(result.event)
        else:
            skipped += 1
    return samples, skipped


def _compare(
    client: Any, project: Project, patterns: Mapping[str, Pattern], samples: list[Event]
) -> Iterator[_Comparison]:
    """Yields a comparison for each pattern and each sample."""
    # The library of AWS is an extra, and slow to import.
    from botocore.exceptions import ClientError  # noqa: PLC0415

    for name, pattern in patterns.items():
        pattern_text = project.document.value["routes"][name]["pattern"]
        # Terraform and the AWS CLI have patterns as JSON text. It is sent unchanged: its number forms matter.
        if not isinstance(pattern_text, str):
            pattern_text = json.dumps(pattern_text, ensure_ascii=False)
        for event in samples:
            document = complete_event(event)
            matches = pattern.matches(document) is True
            try:
                with explain_errors("AWS (events:TestEventPattern)"):
                    response = client.test_event_pattern(EventPattern=pattern_text, Event=document)
            except ClientError as error:
                yield _Comparison(name, event, matches, None, f"AWS refuses it: {describe(error)}")
                continue
            result = response.get("Result")
            # A local endpoint may not implement the operation.
            if not isinstance(result, bool):
                yield _Comparison(name, event, matches, None, "the response has no Result")
                continue
            yield _Comparison(name, event, matches, result)


def complete_event(event: Event) -> str:
    """Returns the text of an event with the fields that AWS requires."""
    text = event.raw.decode().strip()
    missing = {name: value for name, value in ENVELOPE.items() if name not in event.document}
    if not missing:
        return text
    # The text itself does not change: AWS compares numbers in the form in which they are written.
    members = json.dumps(missing)[1:-1]
    return f"{{{members}, {text[1:]}"


def _build_record(comparison: _Comparison) -> dict[str, Any]:
    return {
        "route": comparison.route,
        "event": comparison.event.id,
        "type": comparison.event.type,
        "evtool": comparison.evtool,
        "aws": comparison.aws,
        "reason": comparison.reason,
    }


def _build_finding(project: Project, comparison: _Comparison) -> Finding:
    event = comparison.event
    aws = comparison.reason or f"for AWS it {ANSWERS[bool(comparison.aws)]}"
    message = f"the route {comparison.route} {ANSWERS[comparison.evtool]} the event {event.id}; {aws}"
    location = project.locate(("routes", comparison.route, "pattern"))
    return Finding(
        "EV607", message, "error", event_id=event.id, event_type=event.type, route=comparison.route, **location
    )


class _VerifyReport(Report):
    """The text report: only the totals, since each disagreement is shown as a finding."""

    def __init__(self, screen: Screen, *, quiet: bool):
        self._screen, self._quiet = screen, quiet

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the totals."""
        if self._quiet:
            return
        summary = tail["summary"]
        asked = f"{format_count(summary['routes'], 'route')} and {format_count(summary['events'], 'event')} compared"
        result: Segment = ("AWS agrees", "green")
        if summary["disagreements"]:
            result = (format_count(summary["disagreements"], "disagreement"), "bold red")
        skipped = ""
        if summary["skipped"]:
            skipped = f", {summary['skipped']:,} left out"
        self._screen.print_line(f"{asked}: ", result, skipped)
