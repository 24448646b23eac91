"""Builds the given events of a scenario, and the events that its mocks emit."""

import io
import json
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
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

# The time at which every scenario begins.
START = "2026-01-01T00:00:00Z"
# The name space of the ids of given events. Another value would change the ids in all reports and expectations.
IDS = uuid.UUID("0b9a1f4e-5d0a-4a53-9b0e-7a4f1f0d2c35")
Path = tuple[str | int, ...]


def build_given(
    source: ScenarioFile, path: Path, given: GivenModel, project: Project, rules: Rules
) -> Iterator[Event | Finding]:
    """Builds the events of one entry of `given`, which `path` leads to, or the findings about it.

    Ids and times that an event lacks are fixed: they depend only on the entry and its path.
    """
    defaults = fix_defaults(list(path) + [given.model_dump(mode="json", exclude_unset=True)])
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
            yield from _find_wrong_fields(source, path + ("set",), event, given.set, rules, defaults)


def _set_fields(event: Event, fields: Mapping[str, Any], rules: Rules, defaults: EventDefaults) -> Event:
    """Returns the event with fields changed. Raises UsageError."""
    assignments = [f"{name}={json.dumps(value)}" for name, value in fields.items()]
    return apply_overrides(event, assignments, defaults, list_properties=partial(_list_properties, rules))


def _find_wrong_fields(
    source: ScenarioFile, path: Path, event: Event, fields: Mapping[str, Any], rules: Rules, defaults: EventDefaults
) -> Iterator[Finding]:
    """Yields the problems of the fields that are set."""
    # An exception has the problem of one field only, so each field is set alone.
    for name, value in fields.items():
        try:
            _set_fields(event, {name: value}, rules, defaults)
        except UsageError as error:
            # The message names options of the command line, which a scenario does not have.
            message = re.sub("(;|(?<=[?])) --set-new sets any path", "", str(error)).removeprefix("--")
            yield Finding("EV022", message, **source.locate(path + (name,), key=True))


def build_emitted(source: ScenarioFile, path: Path, mock: MockModel, handler: str) -> Iterator[Emitted | Finding]:
    """Builds the events that a mock emits. Without a source the handler's name is the source, as for the handler."""
    for index, written in enumerate(mock.emit):
        entry_path = path + ("emit", index)
        document = _complete_emitted(written, handler)
        for event in _read_inline(source, entry_path, document, fix_defaults(list(entry_path))):
            if isinstance(event, Finding):
                yield event
            else:
                yield _to_emitted(event, document)


def _to_emitted(event: Event, document: dict[str, Any]) -> Emitted:
    """Converts an event into the form in which handlers emit events."""
    # An event without an own time gets the time of its delivery, not that of `fix_defaults`.
    time = None
    if "time" in document or "Time" in document:
        time = event.time
    # A whole envelope is kept with all its fields; of an entry of PutEvents evtool builds the envelope.
    envelope = None
    if "detail-type" in document or is_cloudevent(document):
        envelope = document
    detail = json.dumps(event.detail, ensure_ascii=False).encode()
    resources = tuple(event.document.get("resources") or ())
    return Emitted(event.type, detail, event.source, resources, time, event.bus, envelope)


def _complete_emitted(document: Mapping[str, Any], handler: str) -> dict[str, Any]:
    """Returns an emitted event with a source."""
    if is_cloudevent(document):
        # A CloudEvent without an id is not valid. This id is replaced, as that of every emitted event.
        return {"id": handler, "source": handler} | dict(document)
    entries = document.get("Entries")
    if isinstance(entries, list):
        return dict(document) | {"Entries": [_complete_entry(entry, handler) for entry in entries]}
    key = "source"
    if "DetailType" in document:
        key = "Source"
    return {key: handler} | dict(document)


def _complete_entry(entry: Any, handler: str) -> Any:
    # Reading the entries reports one that is not an object.
    if isinstance(entry, dict):
        return {"Source": handler} | entry
    return entry


def _read_origin(
    source: ScenarioFile, path: Path, given: GivenModel, project: Project, rules: Rules, defaults: EventDefaults
) -> Iterable[Event | Finding]:
    if given.event:
        return _read_inline(source, path + ("event",), given.event, defaults)
    if given.generate:
        return _generate(source, path + ("generate",), given.generate, project, rules, defaults)
    if given.sample:
        samples = project.list_samples()
        # A type is also the name of its sample, though its file has no dots: `order.created` is order-created.json.
        file = samples.get(given.sample) or samples.get(given.sample.replace(".", "-"))
        hint = did_you_mean(given.sample, samples) or f"the samples are {', '.join(samples) or 'none'}"
        message, key = f'there is no sample "{given.sample}"', "sample"
    else:
        file = source.file.parent / given.file
        hint = "a path is relative to the scenario's file"
        message, key = f"there is no file {given.file}", "file"
    if file is None or not is_file(file):
        return [Finding("EV701", message, suggestion=hint, **source.locate(path + (key,)))]
    return _read_file(display_path(file), defaults)


def _read_file(file: str, defaults: EventDefaults) -> Iterator[Event | Finding]:
    for text in read_texts([file], stdin=io.BytesIO()):
        if isinstance(text, Finding):
            yield text
        else:
            yield from read_events(text, defaults)


def _read_inline(source: ScenarioFile, path: Path, document: Any, defaults: EventDefaults) -> Iterator[Event | Finding]:
    """Reads the events that are written in the scenario. The locations of findings are in the scenario file."""
    try:
        raw = json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # A lone surrogate can be written in YAML. It has no UTF-8 form, but an escape.
        raw = json.dumps(document).encode()
    for event in read_events(SourceText(source.display_name, 1, 1, raw), defaults):
        if isinstance(event, Finding):
            yield _relocate(source, path, event)
        else:
            yield event._replace(source_map=None)


def _relocate(source: ScenarioFile, path: Path, finding: Finding) -> Finding:
    """Returns a finding about an inline event, which `path` leads to, with its location in the scenario file."""
    full_path = path + tuple(map(_to_step, (finding.pointer or "").split("/")[1:]))
    hint = finding.suggestion
    if finding.code == "EV009":
        hint = "it needs source, detail-type and detail"
    elif hint and hint.startswith(QUOTE_HINT):
        # The hint repeats the number as YAML has read it, which may not be how it is written.
        hint = f'{QUOTE_HINT}: "{read_written(source.document, source.text, full_path)}"'
    return Finding(finding.code, finding.message, suggestion=hint, **source.locate(full_path))


def _to_step(step: str) -> str | int:
    if step.isdecimal():
        return int(step)
    return step.replace("~1", "/").replace("~0", "~")


def _generate(
    source: ScenarioFile, path: Path, event_type: str, project: Project, rules: Rules, defaults: EventDefaults
) -> Iterable[Event | Finding]:
    """Generates a valid event of a type."""
    # Few scenarios need these modules, and they take long to import.
    from evtool.schemas.algebra.events import generate_event  # noqa: PLC0415
    from evtool.schemas.algebra.matched_types import list_known_types, list_sources  # noqa: PLC0415
    from evtool.schemas.algebra.values import CannotGenerate  # noqa: PLC0415

    types: Sequence[str] = ()
    if rules.schemas:
        types = rules.schemas.list_types()
    if event_type not in types:
        hint = did_you_mean(event_type, types) or f"the types with a schema are {', '.join(types) or 'none'}"
        return [Finding("EV701", f'there is no schema for "{event_type}"', suggestion=hint, **source.locate(path))]
    known = list_known_types(rules.schemas, list(_read_samples(project, defaults)))
    # The seed is the number of the entry, so that two entries of one type give two events.
    number = next(step for step in reversed(path) if isinstance(step, int))
    try:
        from_source = next(iter(list_sources(known, event_type)), None)
        document = generate_event(rules.schemas, event_type, from_source, seed=number)
    except (CannotGenerate, ConfigError) as error:
        message = f"no event of the type {event_type} can be generated: {error}"
        return [Finding("EV022", message, **source.locate(path))]
    return _read_inline(source, path, document, defaults)


def _read_samples(project: Project, defaults: EventDefaults) -> Iterator[Event]:
    for file in project.list_samples().values():
        for event in _read_file(str(file), defaults):
            if isinstance(event, Event):
                yield event


def _list_properties(rules: Rules, event: Event, steps: Sequence[str | int]) -> Collection[str]:
    try:
        return rules.list_properties(event, steps)
    except ConfigError:
        # Validating the event reports the schema.
        return ()


def fix_defaults(seed: list[Any]) -> EventDefaults:
    """Returns ids that depend on the seed only, and the time at which a scenario begins."""
    numbers = count()

    def new_id() -> str:
        return str(uuid.uuid5(IDS, json.dumps(seed + [next(numbers)], sort_keys=True)))

    def read_clock() -> str:
        return START

    return EventDefaults(new_id, read_clock)
