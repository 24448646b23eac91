"""Turns options that select stored events, such as --since, --type and --pattern, into filters and patterns."""

from collections.abc import Sequence
from pathlib import Path

from evtool.cli.session import Session, now_ms
from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.store.counts import has_name, list_names
from evtool.store.rows import Filter, StoredEvent
from evtool.store.store import Store
from evtool.units import parse_duration, parse_time

# Names that a message lists.
MAX_NAMES = 10


def build_filter(
    ids: Sequence[str] = (),
    *,
    since: str | None = None,
    until: str | None = None,
    type: str | None = None,  # noqa: A002  (the option's word)
    source: str | None = None,
    state: str | None = None,
) -> Filter:
    """Builds the filter that options describe. Raises UsageError."""
    # Both options are relative to the same moment: `--since 2h --until 1h` is exactly one hour.
    now = now_ms()
    start = _parse_time_option(since, now)
    end = _parse_time_option(until, now)
    if start is not None and end is not None and start >= end:
        raise UsageError(f"--since {since} is not before --until {until}: no event can lie between them")
    return Filter(since=start, until=end, type=type, source=source, state=state, ids=tuple(ids))


def _parse_time_option(text: str | None, now: int) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text, now)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from None


def check_names(session: Session, store: Store, *, route: str | None = None, handler: str | None = None) -> None:
    """Raises UsageError for a route or handler that is neither in routes.yaml nor in a delivery of the store."""
    for kind, name in (("route", route), ("handler", handler)):
        if name is None or has_name(store, kind, name):
            continue
        names: list[str] = []
        project = session.try_project()
        if project:
            names = project.names_in(f"{kind}s")
        if name not in names:
            hint = _suggest(kind, name, sorted(set(names).union(list_names(store, kind))))
            raise UsageError(f"--{kind} {name}: there is no such {kind} in routes.yaml or in the store; {hint}")


def note_unknown_values(
    session: Session,
    store: Store,
    *,
    type: str | None = None,  # noqa: A002
    source: str | None = None,
    effect: str = "none is selected",
) -> None:
    """Prints a note for a type or source that no stored event has: the word may be misspelled."""
    for kind, value in (("type", type), ("source", source)):
        if value is not None and not has_name(store, kind, value):
            note_unknown(session, kind, value, list_names(store, kind), place="the store", effect=effect)


def note_unknown(
    session: Session,
    kind: str,
    value: str | None,
    names: Sequence[str],
    *,
    place: str,
    effect: str = "none is selected",
) -> None:
    """Prints a note for a type or source that no event of `place` has: the word may be misspelled."""
    if value is not None and value not in names:
        hint = _suggest(kind, value, names)
        session.print_note(f"--{kind} {value}: no event in {place} has this {kind}, so {effect}; {hint}")


def _suggest(kind: str, name: str, names: Sequence[str]) -> str:
    """Returns the name that the user probably meant, or a list of the names."""
    suggestion = did_you_mean(name, names)
    if suggestion:
        return suggestion
    shown = list(names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        shown.append("...")
    return f"the {kind}s are {', '.join(shown) or 'none'}"


def parse_older_than(older_than: str | None) -> int | None:
    """Returns the moment of --older-than, in milliseconds since 1970. Raises UsageError."""
    if older_than is None:
        return None
    try:
        return now_ms() - round(parse_duration(older_than) * 1000)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from None


def check_ids(store: Store, ids: Sequence[str]) -> None:
    """Raises UsageError for an id that no stored event has."""
    # A filter without ids would select every event.
    if not ids:
        return
    stored_ids = {event.id for event in store.read_events(Filter(ids=tuple(ids)))}
    for event_id in ids:
        if event_id not in stored_ids:
            raise UsageError(f"there is no event {event_id} in {store.file}; `evtool events` lists the stored events")


def find_event(store: Store, event_id: str, source: str | None) -> StoredEvent | None:
    """Finds the stored event with an id. Raises UsageError if events of several sources have it."""
    events = list(store.read_events(Filter(ids=(event_id,), source=source)))
    # The key of an event is its source and its id, so that an id alone may not be unique.
    if len(events) > 1:
        sources = ", ".join(event.source for event in events)
        raise UsageError(f"several events have the id {event_id}; choose one with --source: {sources}")
    if events:
        return events[0]
    return None


def read_pattern(text: str) -> Pattern:
    """Reads the pattern of --pattern: JSON, or @FILE with JSON in it. Raises UsageError."""
    try:
        if text.startswith("@"):
            return Pattern(Path(text[1:]).read_bytes())
        return Pattern(text)
    except (OSError, ValueError) as error:
        # The message of an OSError repeats the path, which is in `text` already.
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--pattern {text}: cannot be read: {reason}") from None
    except PatternError as error:
        raise UsageError(f"--pattern: {error}") from None
