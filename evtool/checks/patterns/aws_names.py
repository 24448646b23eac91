"""Finds names of AWS's own events in patterns that are nearly, but not quite, those that AWS sends.

The list of known events is not complete, so a name that is not near a known one is not reported.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

from evtool.checks.base import map_fields
from evtool.checks.patterns.subject import PatternProblem
from evtool.findings.spelling import find_respelled
from evtool.patterns.conditions import Field
from evtool.patterns.pattern import Pattern
from evtool.schemas.algebra.matched_types import is_literal, list_literals

DATA_FILE = Path(__file__).parent / "aws_events.json"
_PREFIX = "aws."


@cache
def load_aws_events() -> dict[str, list[str]]:
    """Loads the detail-types of AWS's events by source."""
    events: dict[str, list[str]] = json.loads(DATA_FILE.read_text(encoding="utf-8"))["events"]
    return events


def may_come_from_aws(event_type: str, source_field: Field | None) -> bool:
    """Whether AWS sends events of a type, for a field that takes sources but lists none."""
    events = load_aws_events()
    if source_field is None or source_field.unknown:
        return any(event_type in types for types in events.values())
    # Partners of AWS have sources of this form; any of them may send a type of any name.
    return source_field.test(f"{_PREFIX}partner/example.com") or any(map(source_field.test, events))


def find_misspelled_aws_names(pattern: Pattern) -> Iterator[PatternProblem]:
    """Yields the sources and types of a pattern that are misspelled names of AWS, each once."""
    # Branches of `$or` share the fields outside of it.
    problems: dict[PatternProblem, None] = {}
    for branch in pattern.branches:
        fields = map_fields(branch)
        source_field = fields.get("source")
        if source_field:
            problems.update(dict.fromkeys(_find_misspelled_sources(source_field)))
        sources = list_literals(source_field)
        type_field = fields.get("detail-type")
        if type_field and sources and set(sources) <= load_aws_events().keys():
            problems.update(dict.fromkeys(_find_misspelled_types(type_field, sources)))
    yield from problems


def _find_misspelled_sources(field: Field) -> Iterator[PatternProblem]:
    for index, condition in enumerate(field.conditions):
        if is_literal(condition):
            known = condition.expected.lower()
            if known != condition.expected and known.startswith(_PREFIX) and known in load_aws_events():
                message = f'AWS writes the source "{condition.expected}" in lower case: the condition never holds'
                yield PatternProblem("EV307", field.keys + (index,), message, f'did you mean "{known}"?', "warning")


def _find_misspelled_types(field: Field, sources: Sequence[str]) -> Iterator[PatternProblem]:
    types = list(chain.from_iterable(load_aws_events()[source] for source in sources))
    for index, condition in enumerate(field.conditions):
        if is_literal(condition) and condition.expected not in types:
            near = find_respelled(condition.expected, types)
            if near:
                message = f'no event of {sources[0]} is known that is called "{condition.expected}"'
                yield PatternProblem("EV307", field.keys + (index,), message, f'did you mean "{near}"?', "warning")
