"""Finds names in a pattern that no schema of the matched types allows, and what was probably meant: EV301 and EV306."""

from collections.abc import Iterator

from evtool.checks.patterns.subject import FieldOfTypes, Keys, PatternProblem, format_path, list_known_names
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS
from evtool.findings.phrases import list_some
from evtool.findings.spelling import did_you_mean, find_similar
from evtool.patterns.conditions import Field
from evtool.schemas.algebra.conditions import Steps, describe_object
from evtool.schemas.algebra.types import find_parts, iter_paths

_MOST_NAMES = 5  # that a message lists


def find_unknown_names(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """A name on the path that no schema allows, or that is nearly one of an object that allows others."""
    for length in range(1, len(subject.steps) + 1):
        name, parent = subject.steps[length - 1], subject.steps[: length - 1]
        known = list_known_names(subject, parent)
        if name in known:
            continue
        is_never = subject.never(describe_object, length)
        if is_never and subject.is_absence:
            return  # it is always absent
        if not is_never and (not known or _has_name_patterns(subject, parent)):
            return
        yield from _describe_unknown(subject, length, known, is_never=is_never)
        return


def _describe_unknown(
    subject: FieldOfTypes, length: int, known: list[str], *, is_never: bool
) -> Iterator[PatternProblem]:
    """The finding about a name that the schema does not describe at its place."""
    name, parent = subject.steps[length - 1], subject.steps[: length - 1]
    path = format_path(subject, subject.steps[:length])
    keys = _keys_of_step(subject.field, length)
    severity = "error" if is_never else "note"
    allows = "allows" if is_never else "describes"
    message = f"no schema of {subject.type_names} {allows} {path}"
    if is_never:
        message += ": no valid event has it"
    same = next((other for other in known if _normalize(other) == _normalize(name)), None)
    elsewhere = _find_elsewhere(subject, name) if is_never and same is None else None
    if same is not None:
        yield PatternProblem("EV306", keys, message, f'did you mean "{same}"?', severity, at_key=True)
    elif is_never and length == 1 and name in (*EVENTBRIDGE_MEMBERS, *CLOUDEVENTS_MEMBERS):
        payload_key = subject.types[0].payload_key
        place = "it is there twice" if name == payload_key else f"a field of the event belongs beside {payload_key}"
        yield PatternProblem("EV306", keys, message, place, severity, at_key=True)
    elif elsewhere is not None:
        place = f"there is {format_path(subject, elsewhere)}"
        yield PatternProblem("EV306", keys, message, place, severity, at_key=True)
    elif is_never or find_similar(name, known):
        similar = find_similar(name, known)
        suggestion = did_you_mean(name, [similar] if similar else known)
        if suggestion is None and known:
            suggestion = f"{format_path(subject, parent)} has {list_some(known, _MOST_NAMES)}"
        yield PatternProblem("EV301", keys, message, suggestion, severity, at_key=True)


def _has_name_patterns(subject: FieldOfTypes, steps: Steps) -> bool:
    parts = [part for entry in subject.types for part in find_parts(entry.document, entry.steps_of(steps))]
    return any("patternProperties" in part for part in parts)


def _find_elsewhere(subject: FieldOfTypes, name: str) -> Steps | None:
    """Another place in the payload where a name is known."""
    for entry in subject.types:
        for steps in iter_paths(entry.document, entry.steps_of(())):
            if steps[-1] == name:
                if entry.has_envelope:
                    return steps[1:]
                return steps
    return None


def _keys_of_step(field: Field, length: int) -> Keys:
    """The keys of the pattern that lead to a step of the payload; a key with dots leads to several."""
    names = 0
    for position, key in enumerate(field.keys):
        if isinstance(key, str) and key != "$or":
            names += key.count(".") + 1
            if names > length:
                return field.keys[: position + 1]
    return field.keys


def _normalize(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
