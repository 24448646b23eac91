"""Builds the given events of a scenario, and the events that its mocks emit."""

import io
import json
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from evtool.errors import ConfigError, UsageError
from evtool.events.envelopes import read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.members import is_cloudevent
from evtool.events.overrides import apply_overrides
from evtool.findings.finding import Finding
from evtool.findings.fixes import QUOTE_HINT
from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import Emitted
from evtool.paths import display_path, is_file
from evtool.readers.files import SourceText, read_texts
from evtool.routes.pattern_text import read_written
from evtool.routes.project import Project
from evtool.scenarios.files import ScenarioFile
from evtool.scenarios.model import GivenModel, MockModel
from evtool.schemas.validation import Rules

START = "2026-01-01T00:00:00Z"  # the time at which every scenario begins
IDS = uuid.UUID("0b9a1f4e-5d0a-4a53-9b0e-7a4f1f0d2c35")  # the name space of the ids of given events
Path = tuple[str | int, ...]


def build_given(
    source: ScenarioFile, path: Path, given: GivenModel, project: Project, rules: Rules
) -> Iterator[Event | Finding]:
    """The events of one entry of `given`, which `path` leads to, or what is wrong with it.

    Ids and times that an event lacks are fixed: they depend only on the entry and its path.
    """
    defaults = fix_defaults([*path, given.model_dump(mode="json", exclude_unset=True)])
    events = list(_read_origin(source, path, given, project, rules, defaults))
    if not events:
        yield Finding("EV022", "there is no event in it", **source.locate(path))
    for event in events:
        if isinstance(event, Finding) or not given.set:
            yield event
            continue
        try:
            yield _set_fields(event, given.set, rules, defaults)
        except UsageError:
            yield from _find_wrong_fields(source, (*path, "set"), event, given.set, rules, defaults)


def _set_fields(event: Event, fields: Mapping[str, Any], rules: Rules, defaults: EventDefaults) -> Event:
    """The event with fields changed. Raises UsageError."""
    assignments = [f"{name}={json.dumps(value)}" for name, value in fields.items()]
    return apply_overrides(
        event, assignments, defaults, list_properties=lambda event, steps: _list_properties(rules, event, steps)
    )


def _find_wrong_fields(
    source: ScenarioFile, path: Path, event: Event, fields: Mapping[str, Any], rules: Rules, defaults: EventDefaults
) -> Iterator[Finding]:
    """What is wrong with the fields that are set; each is tried alone."""
    for name, value in fields.items():
        try:
            _set_fields(event, {name: value}, rules, defaults)
        except UsageError as error:
            message = re.sub("(;|(?<=[?])) --set-new sets any path", "", str(error)).removeprefix("--")
            yield Finding("EV022", message, **source.locate((*path, name), key=True))


def build_emitted(source: ScenarioFile, path: Path, mock: MockModel, handler: str) -> Iterator[Emitted | Finding]:
    """The events that a mock emits. Without a source the handler's name is the source, as for the handler itself."""
    for index, written in enumerate(mock.emit):
        at, document = (*path, "emit", index), _complete_emitted(written, handler)
        is_envelope = "detail-type" in document or is_cloudevent(document)
        for event in _read_inline(source, at, document, fix_defaults([*at])):
            if isinstance(event, Finding):
                yield event
                continue
            has_time = any(key in document for key in ("time", "Time"))
            yield Emitted(
                event.type,
                json.dumps(event.detail, ensure_ascii=False).encode(),
                event.source,
                tuple(event.document.get("resources") or ()),
                event.time if has_time else None,
                event.bus,
                document if is_envelope else None,
            )


def _complete_emitted(document: Mapping[str, Any], handler: str) -> dict[str, Any]:
    """An emitted event with a source. The id that a CloudEvent needs is replaced, as that of every emitted event."""
    if is_cloudevent(document):
        return {"id": handler, "source": handler, **document}
    entries = document.get("Entries")
    if isinstance(entries, list):
        return {**document, "Entries": [{"Source": handler, **e} if isinstance(e, dict) else e for e in entries]}
    return {"Source" if "DetailType" in document else "source": handler, **document}


def _read_origin(
    source: ScenarioFile, path: Path, given: GivenModel, project: Project, rules: Rules, defaults: EventDefaults
) -> Iterable[Event | Finding]:
    if given.event:
        return _read_inline(source, (*path, "event"), given.event, defaults)
    if given.generate:
        return _generate(source, (*path, "generate"), given.generate, project, rules, defaults)
    if given.sample:
        at, samples = (*path, "sample"), project.list_samples()
        file = samples.get(given.sample) or samples.get(given.sample.replace(".", "-"))
        hint = did_you_mean(given.sample, samples) or f"the samples are {', '.join(samples) or 'none'}"
        message = f'there is no sample "{given.sample}"'
    else:
        at, file = (*path, "file"), source.file.parent / given.file
        hint, message = "a path is relative to the scenario's file", f"there is no file {given.file}"
    if file is None or not is_file(file):
        return [Finding("EV701", message, suggestion=hint, **source.locate(at))]
    return _read_file(display_path(file), defaults)


def _read_file(file: str, defaults: EventDefaults) -> Iterator[Event | Finding]:
    for text in read_texts([file], stdin=io.BytesIO()):
        yield from [text] if isinstance(text, Finding) else read_events(text, defaults)


def _read_inline(source: ScenarioFile, path: Path, document: Any, defaults: EventDefaults) -> Iterator[Event | Finding]:
    """The events that are written in the scenario, with findings at their place there."""
    try:
        raw = json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raw = json.dumps(document).encode()
    for event in read_events(SourceText(source.display_name, 1, 1, raw), defaults):
        if isinstance(event, Finding):
            at = (*path, *(_to_step(step) for step in (event.pointer or "").split("/")[1:]))
            hint = "it needs source, detail-type and detail" if event.code == "EV009" else event.suggestion
            if hint and hint.startswith(QUOTE_HINT):  # YAML may have changed the number
                hint = f'{QUOTE_HINT}: "{read_written(source.document, source.text, at)}"'
            yield Finding(event.code, event.message, suggestion=hint, **source.locate(at))
        else:
            yield event._replace(source_map=None)


def _to_step(step: str) -> str | int:
    if step.isdecimal():
        return int(step)
    return step.replace("~1", "/").replace("~0", "~")


def _generate(
    source: ScenarioFile, path: Path, event_type: str, project: Project, rules: Rules, defaults: EventDefaults
) -> Iterable[Event | Finding]:
    """A valid event of a type. The seed is the number of the entry, so that two entries give two events."""
    # few scenarios need it, and it takes long to import
    from evtool.schemas.algebra.events import generate_event  # noqa: PLC0415
    from evtool.schemas.algebra.matched_types import list_known_types, list_sources  # noqa: PLC0415
    from evtool.schemas.algebra.values import CannotGenerate  # noqa: PLC0415

    if rules.schemas:
        types = rules.schemas.list_types()
    else:
        types = []
    if event_type not in types:
        hint = did_you_mean(event_type, types) or f"the types with a schema are {', '.join(types) or 'none'}"
        return [Finding("EV701", f'there is no schema for "{event_type}"', suggestion=hint, **source.locate(path))]
    samples = [event for file in project.list_samples().values() for event in _read_file(str(file), defaults)]
    known = list_known_types(rules.schemas, [event for event in samples if isinstance(event, Event)])
    number = next(step for step in reversed(path) if isinstance(step, int))
    try:
        from_source = next(iter(list_sources(known, event_type)), None)
        document = generate_event(rules.schemas, event_type, from_source, seed=number)
    except (CannotGenerate, ConfigError) as error:
        message = f"no event of the type {event_type} can be generated: {error}"
        return [Finding("EV022", message, **source.locate(path))]
    return _read_inline(source, path, document, defaults)


def _list_properties(rules: Rules, event: Event, steps: Sequence[str | int]) -> Collection[str]:
    try:
        return rules.list_properties(event, steps)
    except ConfigError:  # the schema is reported when the event is validated
        return ()


def fix_defaults(seed: list[Any]) -> EventDefaults:
    """Ids that depend on the seed only, and the time at which a scenario begins."""
    numbers = count()

    def new_id() -> str:
        return str(uuid.uuid5(IDS, json.dumps([*seed, next(numbers)], sort_keys=True)))

    return EventDefaults(new_id, lambda: START)
