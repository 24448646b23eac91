"""Checks a store for damage and unsafe settings, for `evtool doctor`, without changing it."""

import stat
from collections.abc import Callable, Iterator
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

PAGE = 50  # events read at a time: each may be long
MAX_FINDINGS = 100  # findings of one kind about structure: what is damaged there is damaged all over
RESTORE = "restore a backup"
MAX_SEQ = 1 << 53  # events and deliveries are counted from 1, and nobody has had so many

# What must not be there: the finding, what is counted, and the query that counts it.
RULES = (
    (
        "EV032",
        "events in a wrong place of the chain of what caused what",
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
        "events and deliveries with numbers that were never given",
        f"SELECT (SELECT count(*) FROM event WHERE seq < 1 OR seq > {MAX_SEQ})"
        f" + (SELECT count(*) FROM delivery WHERE seq < 1 OR seq > {MAX_SEQ})",
    ),
    (
        "EV034",
        "counters of deliveries that would give numbers again, or none",
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
        "keys that lead to no event, or to another",
        # in the order of the events: keys are random, and would have each page of events read many times
        "WITH sorted AS MATERIALIZED (SELECT * FROM event_key ORDER BY event) SELECT count(*) FROM sorted"
        " LEFT JOIN event ON event.seq = sorted.event WHERE event.key IS NOT sorted.key OR merged NOT IN (0, 1)",
    ),
    (
        "EV034",
        "keys that are there twice",
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
        "deliveries that count other attempts than their history has",
        "SELECT count(*) FROM delivery WHERE (attempts, attempts) IS NOT"
        " (SELECT count(*), coalesce(max(number), 0) FROM attempt WHERE attempt.delivery = delivery.seq)",
    ),
    (
        "EV034",
        "deliveries that came to their end in an attempt that did not",
        "SELECT count(*) FROM delivery JOIN attempt ON attempt.delivery = delivery.seq AND number = attempts"
        " WHERE state IN ('done', 'dead') AND outcome IS NULL",
    ),
    (
        "EV034",
        "deliveries that are done without an attempt that was, or the other way round",
        "SELECT count(*) FROM delivery WHERE (state = 'done') <>"
        " EXISTS (SELECT 1 FROM attempt WHERE attempt.delivery = delivery.seq AND outcome = 'done')",
    ),
)


class StoreFacts(NamedTuple):
    """What a store is, and how it is kept."""

    bytes: int
    wal_bytes: int  # of the WAL beside it: what is committed and not yet in the file, and room for more
    mode: str  # permissions, as chmod has them
    disk: str  # the type of its file system; "" where that cannot be told
    evtool: str
    tables: int  # the version of the tables
    sqlite: str
    wal_reset_fixed: bool
    journal: str
    journal_reason: str


def describe_store(store: Store) -> StoreFacts:
    """What is told of a store whether it is well or not."""
    file, sqlite = store.file.resolve(), apsw.sqlite_lib_version()
    major, minor, patch = map(int, sqlite.split("."))
    mode, choice = str(store.execute("PRAGMA journal_mode")[0][0]), choose_journal(file.parent)
    wal = file.with_name(f"{file.name}-wal")
    return StoreFacts(
        bytes=file.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        mode=f"{stat.S_IMODE(file.stat().st_mode):04o}",
        disk=detect_file_system(file),
        evtool=__version__,
        tables=VERSION,
        sqlite=sqlite,
        wal_reset_fixed=is_wal_safe((major, minor, patch)),
        journal=mode,
        journal_reason=choice.reason if mode == choice.mode else f"{choice.mode} when next written: {choice.reason}",
    )


def check_store(store: Store, *, on_events: Callable[[int], None] = lambda _: None) -> Iterator[Finding]:
    """Everything that is wrong with a store. What cannot be read is a finding, and the rest is looked at.

    `on_events` gets the number of events that were checked.
    """
    checks: tuple[Callable[[Store], Iterator[Finding]], ...] = (
        _check_surroundings,
        _check_tables,
        _check_structure,
        _check_references,
        _check_events,
        _check_histories,
        _check_rules,
        _check_sums,
    )
    for check in checks:
        try:
            yield from _check_events(store, on_events) if check is _check_events else check(store)
        except DamageError:
            message = f"the store is too damaged to check its {check.__name__.removeprefix('_check_')} to the end"
            yield _make_finding(store, "EV030", message, suggestion=RESTORE)


def _check_surroundings(store: Store) -> Iterator[Finding]:
    facts = describe_store(store)
    if int(facts.mode, 8) & 0o077:
        hint = f"chmod 600 {display_path(store.file)}"
        yield _make_finding(store, "EV035", f"others may read the store: its mode is {facts.mode}", suggestion=hint)
    choice = choose_journal(store.file.absolute().parent)
    if choice.mode != "wal":
        yield _make_finding(store, "EV036", f"{choice.reason}: a rollback journal is used, which is slower", "warning")


def _check_tables(store: Store) -> Iterator[Finding]:
    with store.translate_errors():
        actual = read_definitions(store.connection)
    for kind, name in sorted({(kind, name) for kind, name, _ in actual ^ expected_definitions()}):
        yield _make_finding(store, "EV030", f"the {kind} {name} is not as evtool makes it", suggestion=RESTORE)


def _check_structure(store: Store) -> Iterator[Finding]:
    """What SQLite finds. It leaves out the CHECKs when nothing may be written: `_check_histories` looks at those."""
    for (report,) in store.execute(f"PRAGMA integrity_check({MAX_FINDINGS})"):
        for line in report.splitlines() if report != "ok" else ():
            yield _make_finding(store, "EV030", line, suggestion=RESTORE)


def _check_references(store: Store) -> Iterator[Finding]:
    missing_counts: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in store.execute("PRAGMA foreign_key_check"):
        missing_counts[table, parent] = missing_counts.get((table, parent), 0) + 1
    for (table, parent), count in missing_counts.items():
        yield _make_finding(
            store, "EV033", f"rows of {table} that name a row of {parent} which is not there: {count:,}"
        )


def _check_events(store: Store, on_events: Callable[[int], None] = lambda _: None) -> Iterator[Finding]:
    """Every event's bytes against its hash, and its columns against its bytes."""
    start, last = 0, store.last_seq()
    while start < last:
        until = min(start + PAGE, last)
        try:
            page_findings = _check_page(store, start, until)
        except DamageError:
            page_findings = [finding for seq in range(start + 1, until + 1) for finding in _check_single(store, seq)]
        yield from page_findings
        on_events(until - start)
        start = _skip_gap(store, until, last)


def _skip_gap(store: Store, after: int, last: int) -> int:
    """The number before the next event: a damaged number may be far away from all others."""
    try:
        seq: int = store.execute("SELECT coalesce(min(seq) - 1, ?) FROM event WHERE seq > ?", last, after)[0][0]
    except DamageError:
        return after
    return seq


def _check_single(store: Store, seq: int) -> list[Finding]:
    """An event by itself, because one near it cannot be read."""
    try:
        return _check_page(store, seq - 1, seq)
    except DamageError:
        return [_make_finding(store, "EV030", f"event number {seq} cannot be read", suggestion=RESTORE)]


def _check_page(store: Store, after: int, until: int) -> list[Finding]:
    """What is wrong with a page of events, as of one moment: others may delete them."""
    with store.transaction("DEFERRED"):
        if are_plain_events(store.execute(PLAIN_EVENTS, after, until)):
            return []
        rows = store.execute(f"SELECT {EVENT}, {LISTED_KEY} FROM event WHERE seq > ? AND seq <= ?", after, until)
        return [finding for *row, key in rows for finding in _check_event(store, StoredEvent(*row), key)]


def _check_event(store: Store, event: StoredEvent, listed_key: int | None) -> Iterator[Finding]:
    """What is wrong with an event; `listed_key` is the key by which it is found."""
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
        yield _make_finding(store, "EV032", f"event {event.id}: its bytes are no event: {error}", **about)
        return
    if listed_key != compute_event_key(actual.id, actual.source):
        message = f"event {event.id}: it is not found by its id and source"
        yield _make_finding(store, "EV032", message, **about)
    derived = (actual.id, actual.type, actual.source, parse_event_time(actual))
    stored = (event.id, event.type, event.source, event.time)
    for column, stored_value, value in zip(("id", "type", "source", "time"), stored, derived, strict=True):
        if stored_value != value:
            message = f"event {event.id}: the column {column} is {stored_value!r}, its bytes say {value!r}"
            yield _make_finding(store, "EV032", message, **about)


def _check_histories(store: Store) -> Iterator[Finding]:
    """Every delivery and every attempt by itself: what evtool writes, and nothing else."""
    after = 0
    query = f"SELECT {DELIVERY} FROM delivery WHERE seq > ? AND ({PLAIN_DELIVERY}) IS NOT 1 ORDER BY seq LIMIT ?"
    while rows := store.execute(query, after, PAGE):
        after = rows[-1][0]
        for row in rows:
            problem = Delivery(*row).damage()
            if problem:
                yield _make_finding(store, "EV030", problem, suggestion=RESTORE)
    key = (0, 0)
    query = (
        f"SELECT delivery, {ATTEMPT} FROM attempt WHERE (delivery, number) > (?, ?) AND ({PLAIN_ATTEMPT}) IS NOT 1"
        " ORDER BY 1, 2 LIMIT ?"
    )
    while rows := store.execute(query, *key, PAGE):
        key = rows[-1][:2]
        for delivery, *row in rows:
            problem = Attempt(*row).damage()
            if problem:
                yield _make_finding(store, "EV030", f"delivery number {delivery}, {problem}", suggestion=RESTORE)


def _check_rules(store: Store) -> Iterator[Finding]:
    for code, description, query in RULES:
        count = store.execute(query)[0][0]
        if count:
            yield _make_finding(store, code, f"{description}: {count:,}")


def _check_sums(store: Store) -> Iterator[Finding]:
    """Whether every delivery is in one of the states, counted by other ways through the file."""
    with store.transaction("DEFERRED"):
        total = store.execute("SELECT count(*) FROM delivery")[0][0]
        counts = {s: store.execute("SELECT count(*) FROM delivery WHERE state = ?", s)[0][0] for s in STATES}
    if total != sum(counts.values()):
        listing = " + ".join(f"{count:,} {state}" for state, count in counts.items())
        yield _make_finding(store, "EV034", f"{total:,} deliveries are not {listing}")


def _make_finding(store: Store, code: str, message: str, severity: str = "error", **more: Any) -> Finding:
    return Finding(code, message, severity, file=display_path(store.file), **more)
