"""Finds names of AWS's own events in patterns that are nearly, but not quite, those that AWS sends.

The list of known events is not complete, so a name that is not near a known one is not reported.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from evtool.checks.patterns.subject import PatternProblem
from evtool.findings.spelling import find_respelled
from evtool.patterns.conditions import Field
from evtool.patterns.pattern import Pattern
from evtool.schemas.algebra.matched_types import is_literal, list_literals

DATA_FILE = Path(__file__).parent / "aws_events.json"
_PREFIX = "aws."


@cache
def load_aws_events() -> dict[str, list[str]]:
    """The detail-types of AWS's events by source."""
    events: dict[str, list[str]] = json.loads(DATA_FILE.read_text(encoding="utf-8"))["events"]
    return events


def may_come_from_aws(event_type: str, source_field: Field | None) -> bool:
    """Whether AWS sends a type, from a source that a field takes which lists no source."""
    if source_field is None or source_field.unknown:
        return any(event_type in types for types in load_aws_events().values())
    return any(source_field.test(source) for source in (f"{_PREFIX}partner/example.com", *load_aws_events()))


def find_misspelled_aws_names(pattern: Pattern) -> Iterator[PatternProblem]:
    """The sources and types of a pattern that are misspelled names of AWS, each once."""
    problems: dict[PatternProblem, None] = {}
    for branch in pattern.branches:
        fields = {field.path: field for field in branch}
        source_field, type_field = fields.get("source"), fields.get("detail-type")
        for index, condition in enumerate(source_field.conditions if source_field else ()):
            if is_literal(condition) and condition.expected.lower().startswith(_PREFIX) and source_field:
                known = condition.expected.lower()
                if known != condition.expected and known in load_aws_events():
                    message = f'AWS writes the source "{condition.expected}" in lower case: the condition never holds'
                    keys = (*source_field.keys, index)
                    problems[PatternProblem("EV307", keys, message, f'did you mean "{known}"?', "warning")] = None
        sources = list_literals(source_field)
        if not sources or not all(source in load_aws_events() for source in sources):
            continue
        types = [name for source in sources for name in load_aws_events()[source]]
        for index, condition in enumerate(type_field.conditions if type_field else ()):
            if not is_literal(condition) or condition.expected in types or type_field is None:
                continue
            near = find_respelled(condition.expected, types)
            if near:
                message = f'no event of {sources[0]} is known that is called "{condition.expected}"'
                keys = (*type_field.keys, index)
                problems[PatternProblem("EV307", keys, message, f'did you mean "{near}"?', "warning")] = None
    yield from problems
