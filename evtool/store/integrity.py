"""Checks a store for damage and unsafe settings, for `evtool doctor`, without changing it."""

import stat
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import apsw

from evtool import __version__
from evtool.errors import DamageError
from evtool.events.envelopes import parse_event
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.store.plain_rows import LISTED_KEY, PLAIN_ATTEMPT, PLAIN_DELIVERY, PLAIN_EVENTS, are_plain_events
from evtool.store.rows import STATES, Attempt, Delivery, StoredEvent, compute_event_key, parse_event_time
from evtool.store.sqlite.migrations import VERSION, expected_definitions, read_definitions
from evtool.store.sqlite.wal import choose_journal, detect_file_system, is_wal_safe
from evtool.store.store import ATTEMPT, DELIVERY, EVENT, Store

# Events that are read at a time, since each may be long.
PAGE = 50
# Findings of SQLite's integrity_check at most: more of them tell nothing new about a damaged file.
MAX_FINDINGS = 100
RESTORE = "restore a backup"
# Events and deliveries are numbered from 1, and no store can have more of them.
MAX_SEQ = 1 << 53

# Rules that hold for every undamaged store: the code of the finding, a description of the rows that break the rule, and
# the query that counts them.
RULES = (
    (
        "EV032",
        "events at a wrong place in their chain of causes",
        "SELECT count(*) FROM event LEFT JOIN delivery ON delivery.seq = event.cause"
        " LEFT JOIN event AS parent ON parent.seq = delivery.event"
        " WHERE coalesce(event.root, event.seq) <> coalesce(parent.root, parent.seq, event.seq)"
        " OR event.depth <> coalesce(parent.depth + 1, 0)",
    ),
    (
        "EV032",
        "events of another replay than the delivery that emitted them",
        "SELECT count(*) FROM event LEFT JOIN delivery ON delivery.seq = event.cause"
        " WHERE event.replay IS NOT nullif(delivery.replay, '')",
    ),
    (
        "EV034",
        "events and deliveries with impossible numbers",
        f"SELECT (SELECT count(*) FROM event WHERE seq < 1 OR seq > {MAX_SEQ})"
        f" + (SELECT count(*) FROM delivery WHERE seq < 1 OR seq > {MAX_SEQ})",
    ),
    (
        "EV034",
        "counters of deliveries that would repeat a number",
        "SELECT (SELECT count(*) FROM sqlite_sequence) <> 1 AND EXISTS (SELECT 1 FROM delivery) OR EXISTS"
        " (SELECT 1 FROM sqlite_sequence WHERE name IS NOT 'delivery' OR typeof(seq) <> 'integer'"
        f" OR seq NOT BETWEEN coalesce((SELECT max(seq) FROM delivery), 0) AND {MAX_SEQ})",
    ),
    (
        "EV034",
        "events that are stored more than once",
        "SELECT count(*) FROM (SELECT 1 FROM event GROUP BY source, id HAVING count(*) > 1)",
    ),
    (
        "EV034",
        "keys of a missing event, or of another event",
        # Sorted by event: in the order of the random keys each page of events would be read many times.
        "WITH sorted AS MATERIALIZED (SELECT * FROM event_key ORDER BY event) SELECT count(*) FROM sorted"
        " LEFT JOIN event ON event.seq = sorted.event WHERE event.key IS NOT sorted.key OR merged NOT IN (0, 1)",
    ),
    (
        "EV034",
        "keys that occur twice",
        "SELECT count(*) FROM event_key AS new JOIN event_key AS old USING (key, event)"
        " WHERE new.merged = 0 AND old.merged = 1",
    ),
    (
        "EV034",
        "events emitted by a delivery that is not done",
        "SELECT count(*) FROM event JOIN delivery ON delivery.seq = event.cause WHERE delivery.state <> 'done'",
    ),
    (
        "EV034",
        "deliveries whose number of attempts differs from their history",
        "SELECT count(*) FROM delivery WHERE (attempts, attempts) IS NOT"
        " (SELECT count(*), coalesce(max(number), 0) FROM attempt WHERE attempt.delivery = delivery.seq)",
    ),
    (
        "EV034",
        "deliveries that ended in an unfinished attempt",
        "SELECT count(*) FROM delivery JOIN attempt ON attempt.delivery = delivery.seq AND number = attempts"
        " WHERE state IN ('done', 'dead') AND outcome IS NULL",
    ),
    (
        "EV034",
        "deliveries that are done without a successful attempt, or not done in spite of one",
        "SELECT count(*) FROM delivery WHERE (state = 'done') <>"
        " EXISTS (SELECT 1 FROM attempt WHERE attempt.delivery = delivery.seq AND outcome = 'done')",
    ),
)


class StoreFacts(NamedTuple):
    """Facts about a store and its file.

    `wal_bytes` is the size of the -wal file: committed pages that are not yet in the store, and preallocated space.
    `mode` has the permissions as chmod shows them. `disk` is the type of the file system, "" if it is not known.
    `tables` is the version of the tables.
    """

    bytes: int
    wal_bytes: int
    mode: str
    disk: str
    evtool: str
    tables: int
    sqlite: str
    wal_reset_fixed: bool
    journal: str
    journal_reason: str


def describe_store(store: Store) -> StoreFacts:
    """Returns the facts about a store that `doctor` shows for every store."""
    file, sqlite = store.file.resolve(), apsw.sqlite_lib_version()
    major, minor, patch = map(int, sqlite.split("."))
    mode, choice = str(store.execute("PRAGMA journal_mode")[0][0]), choose_journal(file.parent)
    wal, wal_bytes = file.with_name(f"{file.name}-wal"), 0
    if wal.exists():
        wal_bytes = wal.stat().st_size
    reason = choice.reason
    if mode != choice.mode:
        reason = f"{choice.mode} when next written: {choice.reason}"
    return StoreFacts(
        bytes=file.stat().st_size,
        wal_bytes=wal_bytes,
        mode=f"{stat.S_IMODE(file.stat().st_mode):04o}",
        disk=detect_file_system(file),
        evtool=__version__,
        tables=VERSION,
        sqlite=sqlite,
        wal_reset_fixed=is_wal_safe((major, minor, patch)),
        journal=mode,
        journal_reason=reason,
    )


def _ignore_count(_events: int) -> None:
    """The default of `check_store`: progress is not reported."""


def check_store(store: Store, *, on_events: Callable[[int], None] = _ignore_count) -> Iterator[Finding]:
    """Yields all problems of a store. A part that cannot be read is a finding, and the other parts are checked.

    `on_events` gets the number of events that were checked since its last call.
    """
    checks: dict[str, Callable[[Store], Iterator[Finding]]] = {
        "surroundings": _check_surroundings,
        "tables": _check_tables,
        "structure": _check_structure,
        "references": _check_references,
        "events": partial(_check_events, on_events=on_events),
        "histories": _check_histories,
        "rules": _check_rules,
        "sums": _check_sums,
    }
    for part, check in checks.items():
        try:
            yield from check(store)
        except DamageError:
            message = f"the store is too damaged to check its {part} to the end"
            yield _make_finding(store, "EV030", message, suggestion=RESTORE)


def _check_surroundings(store: Store) -> Iterator[Finding]:
    facts = describe_store(store)
    if int(facts.mode, 8) & 0o077:
        hint = f"chmod 600 {display_path(store.file)}"
        message = f"other users may read the store: its mode is {facts.mode}"
        yield _make_finding(store, "EV035", message, suggestion=hint)
    choice = choose_journal(store.file.absolute().parent)
    if choice.mode != "wal":
        yield _make_finding(store, "EV036", f"{choice.reason}: a rollback journal is used, which is slower", "warning")


def _check_tables(store: Store) -> Iterator[Finding]:
    with store.translate_errors():
        actual = read_definitions(store.connection)
    for kind, name in sorted({(kind, name) for kind, name, _ in actual ^ expected_definitions()}):
        yield _make_finding(store, "EV030", f"the {kind} {name} is not as evtool creates it", suggestion=RESTORE)


def _check_structure(store: Store) -> Iterator[Finding]:
    """Yields what SQLite finds.

    On a connection that only reads, SQLite does not check the CHECK constraints. `_check_histories` does that.
    """
    for (report,) in store.execute(f"PRAGMA integrity_check({MAX_FINDINGS})"):
        for line in report.splitlines():
            if line != "ok":
                yield _make_finding(store, "EV030", line, suggestion=RESTORE)


def _check_references(store: Store) -> Iterator[Finding]:
    missing = Counter((table, parent) for table, _, parent, _ in store.execute("PRAGMA foreign_key_check"))
    for (table, parent), count in missing.items():
        yield _make_finding(store, "EV033", f"rows of {table} that refer to a missing row of {parent}: {count:,}")


def _check_events(store: Store, on_events: Callable[[int], None]) -> Iterator[Finding]:
    """Compares the bytes of every event with its hash, and its columns with its bytes."""
    start, last = 0, store.last_seq()
    while start < last:
        until = min(start + PAGE, last)
        try:
            page_findings = _check_page(store, start, until)
        except DamageError:
            page_findings = []
            for seq in range(start + 1, until + 1):
                page_findings += _check_single(store, seq)
        yield from page_findings
        on_events(until - start)
        start = _skip_gap(store, until, last)


def _skip_gap(store: Store, after: int, last: int) -> int:
    """Returns the number before the next event. A damaged number may be far from all others."""
    try:
        seq: int = store.execute("SELECT coalesce(min(seq) - 1, ?) FROM event WHERE seq > ?", last, after)[0][0]
    except DamageError:
        return after
    return seq


def _check_single(store: Store, seq: int) -> list[Finding]:
    """Checks one event, because another one of its page cannot be read."""
    try:
        return _check_page(store, seq - 1, seq)
    except DamageError:
        return [_make_finding(store, "EV030", f"event number {seq} cannot be read", suggestion=RESTORE)]


def _check_page(store: Store, after: int, until: int) -> list[Finding]:
    """Checks a page of events in one transaction, since other processes may delete events."""
    with store.transaction("DEFERRED"):
        if are_plain_events(store.execute(PLAIN_EVENTS, after, until)):
            return []
        rows = store.execute(f"SELECT {EVENT}, {LISTED_KEY} FROM event WHERE seq > ? AND seq <= ?", after, until)
        findings: list[Finding] = []
        for row in rows:
            findings += _check_event(store, StoredEvent(*row[:-1]), row[-1])
        return findings


def _check_event(store: Store, event: StoredEvent, listed_key: int | None) -> Iterator[Finding]:
    """Yields the problems of an event; `listed_key` is its key in the table of keys."""
    column_damage = event.column_damage()
    if column_damage:
        about: dict[str, Any] = {}
    else:
        about = {"event_id": event.id, "event_type": event.type}
    content_damage = event.content_damage()
    if content_damage:
        yield _make_finding(store, "EV031", f"event {event.id}: {content_damage}", suggestion=RESTORE, **about)
        return
    if column_damage:
        yield _make_finding(store, "EV030", f"event {event.id}: {column_damage}", suggestion=RESTORE, **about)
    try:
        actual = parse_event(event.raw)
    except ValueError as error:
        yield _make_finding(store, "EV032", f"event {event.id}: its bytes are not a valid event: {error}", **about)
        return
    if listed_key != compute_event_key(actual.id, actual.source):
        message = f"event {event.id}: it is not found by its id and source"
        yield _make_finding(store, "EV032", message, **about)
    derived = (actual.id, actual.type, actual.source, parse_event_time(actual))
    stored = (event.id, event.type, event.source, event.time)
    for column, stored_value, value in zip(("id", "type", "source", "time"), stored, derived, strict=True):
        if stored_value != value:
            message = f"event {event.id}: the column {column} is {stored_value!r}, but its bytes have {value!r}"
            yield _make_finding(store, "EV032", message, **about)


def _check_histories(store: Store) -> Iterator[Finding]:
    """Checks each delivery and each attempt on its own."""
    after = 0
    query = f"SELECT {DELIVERY} FROM delivery WHERE seq > ? AND ({PLAIN_DELIVERY}) IS NOT 1 ORDER BY seq LIMIT ?"
    rows = store.execute(query, after, PAGE)
    while rows:
        for row in rows:
            problem = Delivery(*row).damage()
            if problem:
                yield _make_finding(store, "EV030", problem, suggestion=RESTORE)
        rows = store.execute(query, rows[-1][0], PAGE)
    query = (
        f"SELECT delivery, {ATTEMPT} FROM attempt WHERE (delivery, number) > (?, ?) AND ({PLAIN_ATTEMPT}) IS NOT 1"
        " ORDER BY 1, 2 LIMIT ?"
    )
    rows = store.execute(query, 0, 0, PAGE)
    while rows:
        for row in rows:
            problem = Attempt(*row[1:]).damage()
            if problem:
                yield _make_finding(store, "EV030", f"delivery number {row[0]}, {problem}", suggestion=RESTORE)
        delivery, number = rows[-1][:2]
        rows = store.execute(query, delivery, number, PAGE)


def _check_rules(store: Store) -> Iterator[Finding]:
    for code, description, query in RULES:
        count = store.execute(query)[0][0]
        if count:
            yield _make_finding(store, code, f"{description}: {count:,}")


def _check_sums(store: Store) -> Iterator[Finding]:
    """Compares the number of deliveries with the sum over all states, which SQLite counts by another index."""
    counts: dict[str, int] = {}
    with store.transaction("DEFERRED"):
        total = store.execute("SELECT count(*) FROM delivery")[0][0]
        for state in STATES:
            counts[state] = store.execute("SELECT count(*) FROM delivery WHERE state = ?", state)[0][0]
    if total != sum(counts.values()):
        listing = " + ".join(f"{count:,} {state}" for state, count in counts.items())
        yield _make_finding(store, "EV034", f"{total:,} deliveries in all, but {listing} by state")


def _make_finding(store: Store, code: str, message: str, severity: str = "error", **more: Any) -> Finding:
    return Finding(code, message, severity, file=display_path(store.file), **more)
