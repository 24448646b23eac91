"""The command `evtool verify aws`: asks AWS whether each route matches each sample, and reports disagreements."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from evtool.aws.client import AwsSettings, describe, explain_errors, open_client
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import Argument, AwsEndpoint, AwsProfile, AwsRegion
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session, create_event_defaults
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.patterns.pattern import Pattern
from evtool.reports.base import Record, Subject
from evtool.routes.project import Project
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, format_count, open_stderr
from evtool.terminal.snippets import show_finding

# what AWS requires of an event, and adds to one that is put; the samples of a project may leave it out
ENVELOPE = {
    "id": "00000000-0000-0000-0000-000000000000",
    "account": "123456789012",
    "time": "1970-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
}


class _Comparison(NamedTuple):
    """What AWS and evtool say about a pattern and an event. `reason` says why AWS gives no answer."""

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

    Nothing is created or sent in AWS. Fields that AWS requires of an event and a sample leaves out, such as account,
    are added for both. Routes with unknown values and CloudEvents, which EventBridge does not have, are left out.
    Exit code 1 if AWS and evtool disagree.

    Example: evtool verify aws --region eu-central-1
    """
    project = session.load_project()
    patterns = {name: route.pattern for name, route in load_routes(session, project).routes.items()}
    known = {name: pattern for name, pattern in patterns.items() if not pattern.unknowns}
    inputs = EventInputs(resolve_paths(events, project) or [display_path(path) for path in project.samples])
    samples, skipped = _read_samples(session, inputs)
    if not samples or not known:
        raise UsageError(
            f"nothing to verify: {format_count(len(known), 'route')}, {format_count(len(samples), 'event')}"
        )
    client = open_client("events", AwsSettings(region, endpoint, profile))
    subject = Subject("verify aws", "disagreements", lambda screen: _VerifyReport(screen, quiet=session.quiet))
    findings: list[Finding] = []
    progress = Progress("asking AWS", "call", quiet=session.quiet)
    with session.open_report(subject) as report:
        for comparison in progress.track(_compare(client, project, known, samples)):
            if not comparison.agrees:
                findings.append(_build_finding(project, comparison))
                show_finding(Screen(open_stderr(), color=session.color), findings[-1])
                report.add(_build_record(comparison))
        summary = {
            "routes": len(known),
            "events": len(samples),
            "disagreements": len(findings),
            "skipped": skipped + len(patterns) - len(known),
        }
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": summary})
    return inputs.worst_exit_code(EXIT_FINDINGS if findings else EXIT_OK)


def _read_samples(session: Session, inputs: EventInputs) -> tuple[list[Event], int]:
    """The events that EventBridge could have, and how many others there are."""
    samples: list[Event] = []
    skipped = 0
    screen = Screen(open_stderr(), color=session.color)
    for result in inputs.check(validate_events(inputs.read(), Rules(None), create_event_defaults())):
        for finding in result.findings:
            show_finding(screen, finding)
        if result.event is not None and result.event.payload_key != "data":
            samples.append(result.event)
        else:
            skipped += 1
    return samples, skipped


def _compare(
    client: Any, project: Project, patterns: Mapping[str, Pattern], samples: list[Event]
) -> Iterator[_Comparison]:
    from botocore.exceptions import ClientError  # noqa: PLC0415  (an extra, and slow to import)

    for name, pattern in patterns.items():
        source = project.document.value["routes"][name]["pattern"]
        text = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False)
        for event in samples:
            document = complete_event(event)
            matches = pattern.matches(document) is True
            try:
                with explain_errors("AWS (events:TestEventPattern)"):
                    response = client.test_event_pattern(EventPattern=text, Event=document)
            except ClientError as error:
                yield _Comparison(name, event, matches, None, f"AWS refuses it: {describe(error)}")
                continue
            result = response.get("Result")
            reason = None if isinstance(result, bool) else "the response has no Result"
            yield _Comparison(name, event, matches, result if isinstance(result, bool) else None, reason)


def complete_event(event: Event) -> str:
    """The text of an event with the fields that AWS requires."""
    text = event.raw.decode().strip()
    missing = {name: value for name, value in ENVELOPE.items() if name not in event.document}
    members = json.dumps(missing)[1:-1]
    if missing:
        return f"{{{members}, {text[1:]}"
    return text


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
    event, words = comparison.event, {True: "matches", False: "does not match"}
    aws = comparison.reason or f"for AWS it {words[bool(comparison.aws)]}"
    message = f"the route {comparison.route} {words[comparison.evtool]} the event {event.id}; {aws}"
    location = project.locate(("routes", comparison.route, "pattern"))
    return Finding(
        "EV607", message, "error", event_id=event.id, event_type=event.type, route=comparison.route, **location
    )


class _VerifyReport:
    """The text report: the sums, since each disagreement is shown as a finding."""

    def __init__(self, screen: Screen, *, quiet: bool):
        self._screen, self._quiet = screen, quiet

    def add(self, record: Record) -> None:
        """Shows nothing: the finding has been shown."""
        assert not isinstance(record, ValidationResult)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the sums."""
        if self._quiet:
            return
        summary = tail["summary"]
        asked = f"{format_count(summary['routes'], 'route')} and {format_count(summary['events'], 'event')} compared"
        count = summary["disagreements"]
        if count:
            result = (f"{format_count(count, 'disagreement')}", "bold red")
        else:
            result = ("AWS agrees", "green")
        skipped = ""
        if summary["skipped"]:
            skipped = f", {summary['skipped']:,} left out"
        self._screen.print_line(f"{asked}: ", result, skipped)
