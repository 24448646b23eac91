"""Checks that the samples of a project are valid, and that those in a folder `invalid` are not."""

from collections.abc import Iterator
from pathlib import Path

from evtool.checks.base import CheckContext
from evtool.checks.loading import read_samples
from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.readers.files import EVENT_SUFFIXES
from evtool.routes.project_file import INVALID_SAMPLES


def check_samples(context: CheckContext) -> Iterator[Finding]:
    """EV101 to EV109: samples that their schema does not allow."""
    for event in context.samples:
        yield from validate_sample(context, event) or ()


def validate_sample(context: CheckContext, event: Event) -> list[Finding] | None:
    """Returns the findings of a sample's schema about it; None if the schema cannot be used."""
    if context.schemas is None:
        return None
    try:
        return context.schemas.check(event)
    except ConfigError:
        return None


def check_invalid_samples(context: CheckContext) -> Iterator[Finding]:
    """EV609: files of invalid samples without a problem."""
    if context.schemas is None:
        return
    for folder in context.project.invalid_samples:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith(".") and file.name.lower().endswith(EVENT_SUFFIXES):
                yield from _check_file(context, file)


def _check_file(context: CheckContext, file: Path) -> Iterator[Finding]:
    events, unreadable = read_samples([file])
    # A file that is not JSON is invalid, too.
    if unreadable or not events:
        return
    for event in events:
        findings = validate_sample(context, event)
        # Without a usable schema it is not known whether the sample is valid.
        if findings is None or not _is_valid(findings):
            return
    hint = "correct the sample or the schema so that the sample fails, or move it to the valid samples"
    message = f'the sample is valid, though it is in the folder "{INVALID_SAMPLES}"'
    name, event_type = display_path(file), events[0].type
    yield Finding("EV609", message, file=name, line=1, column=1, event_type=event_type, suggestion=hint)


def _is_valid(findings: list[Finding]) -> bool:
    return all(finding.severity != "error" for finding in findings)
