"""Finds names in a pattern that no schema of the matched types allows, and suggests similar ones: EV301 and EV306."""

from collections.abc import Iterator

from evtool.checks.patterns.subject import (
    FieldOfTypes,
    Keys,
    PatternProblem,
    find_other_spelling,
    format_path,
    list_known_names,
    list_schema_parts,
)
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS
from evtool.findings.phrases import list_some
from evtool.findings.spelling import did_you_mean, find_similar
from evtool.patterns.conditions import Field
from evtool.schemas.algebra.conditions import Steps, describe_object
from evtool.schemas.algebra.types import iter_paths

# Names that a message lists.
_MOST_NAMES = 5


def find_unknown_names(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """Yields the first name on the path that no schema allows, or that is nearly one that a schema describes."""
    for length in range(1, len(subject.steps) + 1):
        name, parent = subject.steps[length - 1], subject.steps[: length - 1]
        known = list_known_names(subject, parent)
        if name in known:
            continue
        is_never = subject.never(describe_object, length)
        # A field that is never present is always absent, which another check reports.
        if is_never and subject.is_absence:
            return
        if not is_never and (not known or _has_name_patterns(subject, parent)):
            return
        yield from _describe_unknown(subject, length, known, is_never=is_never)
        return


def _describe_unknown(
    subject: FieldOfTypes, length: int, known: list[str], *, is_never: bool
) -> Iterator[PatternProblem]:
    """Yields the finding about a name that the schema does not describe at its place.

    EV306 is a known name in another spelling or at another place, EV301 any other one.
    """
    name, parent = subject.steps[length - 1], subject.steps[: length - 1]
    path = format_path(subject, subject.steps[:length])
    keys = _keys_of_step(subject.field, length)
    if is_never:
        severity = "error"
        message = f"no schema of {subject.type_names} allows {path}: no valid event has it"
    else:
        # The schema allows further names, so this one may be in an event.
        severity = "note"
        message = f"no schema of {subject.type_names} describes {path}"
    same = find_other_spelling(name, known)
    hint = None
    if same is not None:
        hint = f'did you mean "{same}"?'
    elif is_never:
        hint = _find_other_place(subject, length)
    if hint is not None:
        yield PatternProblem("EV306", keys, message, hint, severity, at_key=True)
        return
    similar = find_similar(name, known)
    if similar:
        hint = did_you_mean(name, [similar])
    elif is_never:
        hint = did_you_mean(name, known)
    else:
        return
    if hint is None and known:
        hint = f"{format_path(subject, parent)} has {list_some(known, _MOST_NAMES)}"
    yield PatternProblem("EV301", keys, message, hint, severity, at_key=True)


def _has_name_patterns(subject: FieldOfTypes, steps: Steps) -> bool:
    return any("patternProperties" in part for part in list_schema_parts(subject, steps))


def _find_other_place(subject: FieldOfTypes, length: int) -> str | None:
    """Returns a hint to the place where a name is known: in the envelope, or elsewhere in the payload."""
    name = subject.steps[length - 1]
    payload_key = subject.types[0].payload_key
    if length == 1 and name in EVENTBRIDGE_MEMBERS + CLOUDEVENTS_MEMBERS:
        if name == payload_key:
            return "it is there twice"
        return f"a field of the event belongs next to {payload_key}"
    steps = _find_elsewhere(subject, name)
    if steps is None:
        return None
    return f"there is {format_path(subject, steps)}"


def _find_elsewhere(subject: FieldOfTypes, name: str) -> Steps | None:
    for entry in subject.types:
        for steps in iter_paths(entry.document, entry.steps_of(())):
            if steps[-1] == name:
                if entry.has_envelope:
                    return steps[1:]
                return steps
    return None


def _keys_of_step(field: Field, length: int) -> Keys:
    """Returns the keys of the pattern that lead to a step of the payload."""
    # A key with dots leads to several steps. The first name is the payload itself, so it does not count.
    names = 0
    for position, key in enumerate(field.keys):
        if isinstance(key, str) and key != "$or":
            names += key.count(".") + 1
            if names > length:
                return field.keys[: position + 1]
    return field.keys
