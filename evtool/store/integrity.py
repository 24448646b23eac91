"""Health: what can be wrong with a store, found by reading all of it and changing nothing."""

import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw

from evtool import __version__
from evtool.errors import DamageError
from evtool.events.envelopes import identify
from evtool.findings.finding import Finding
from evtool.paths import display
from evtool.store.rows import STATES, Attempt, Delivery, Stored, event_key, event_time
from evtool.store.sqlite.migrations import VERSION, expected_shape, shape
from evtool.store.sqlite.wal import disk_type, journal, wal_is_safe
from evtool.store.store import ATTEMPT, DELIVERY, EVENT, KEYED, Store

PAGE = 50  # events read at a time: each may be long
MOST = 100  # findings of one kind about structure: what is damaged there is damaged all over
RESTORE = "restore a backup"
NUMBERS = 1 << 53  # events and deliveries are counted from 1, and nobody has had so many

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
        f"SELECT (SELECT count(*) FROM event WHERE seq NOT BETWEEN 1 AND {NUMBERS})"
        f" + (SELECT count(*) FROM delivery WHERE seq NOT BETWEEN 1 AND {NUMBERS})",
    ),
    (
        "EV034",
        "counters of deliveries that would give numbers again, or none",
        "SELECT (SELECT count(*) FROM sqlite_sequence) <> 1 AND EXISTS (SELECT 1 FROM delivery) OR EXISTS"
        " (SELECT 1 FROM sqlite_sequence WHERE name IS NOT 'delivery' OR typeof(seq) <> 'integer'"
        f" OR seq NOT BETWEEN coalesce((SELECT max(seq) FROM delivery), 0) AND {NUMBERS})",
    ),
    (
        "EV034",
        "events that are stored more than once",
        "SELECT count(*) FROM (SELECT 1 FROM event GROUP BY source, id HAVING count(*) > 1)",
    ),
    (
        "EV034",
        "keys that lead to no event, or to another",
        "SELECT count(*) FROM event_key LEFT JOIN event ON event.seq = event_key.event"
        " WHERE event.key IS NOT event_key.key OR merged NOT IN (0, 1)",
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


class Facts(NamedTuple):
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


def facts(store: Store) -> Facts:
    """What is told of a store whether it is well or not."""
    file, sqlite = store.file.resolve(), apsw.sqlite_lib_version()
    major, minor, patch = map(int, sqlite.split("."))
    mode, wanted = str(store.rows("PRAGMA journal_mode")[0][0]), journal(file.parent)
    wal = file.with_name(f"{file.name}-wal")
    return Facts(
        bytes=file.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        mode=f"{stat.S_IMODE(file.stat().st_mode):04o}",
        disk=disk_type(file),
        evtool=__version__,
        tables=VERSION,
        sqlite=sqlite,
        wal_reset_fixed=wal_is_safe((major, minor, patch)),
        journal=mode,
        journal_reason=wanted.reason if mode == wanted.mode else f"{wanted.mode} when next written: {wanted.reason}",
    )


def findings(store: Store) -> Iterator[Finding]:
    """Everything that is wrong with a store. What cannot be read is a finding, and the rest is looked at."""
    for check in (_surroundings, _tables, _structure, _references, _events, _histories, _rules, _sums):
        try:
            yield from check(store)
        except DamageError:
            told = f"the store is too damaged to check its {check.__name__.strip('_')} to the end"
            yield _finding(store, "EV030", told, suggestion=RESTORE)


def _surroundings(store: Store) -> Iterator[Finding]:
    now = facts(store)
    if int(now.mode, 8) & 0o077:
        hint = f"chmod 600 {display(store.file)}"
        yield _finding(store, "EV035", f"others may read the store: its mode is {now.mode}", suggestion=hint)
    wanted = journal(store.file.absolute().parent)
    if wanted.mode != "wal":
        yield _finding(store, "EV036", f"{wanted.reason}: a rollback journal is used, which is slower", "warning")


def _tables(store: Store) -> Iterator[Finding]:
    with store.errors():
        there = shape(store.connection)
    for kind, name in sorted({(kind, name) for kind, name, _ in there ^ expected_shape()}):
        yield _finding(store, "EV030", f"the {kind} {name} is not as evtool makes it", suggestion=RESTORE)


def _structure(store: Store) -> Iterator[Finding]:
    """What SQLite finds. It leaves out the CHECKs when nothing may be written: `_histories` looks at those."""
    for (said,) in store.rows(f"PRAGMA integrity_check({MOST})"):
        for line in said.splitlines() if said != "ok" else ():
            yield _finding(store, "EV030", line, suggestion=RESTORE)


def _references(store: Store) -> Iterator[Finding]:
    torn: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in store.rows("PRAGMA foreign_key_check"):
        torn[table, parent] = torn.get((table, parent), 0) + 1
    for (table, parent), count in torn.items():
        yield _finding(store, "EV033", f"rows of {table} that name a row of {parent} which is not there: {count:,}")


def _events(store: Store) -> Iterator[Finding]:
    """Every event's bytes against its hash, and its columns against its bytes."""
    start, last = 0, store.last()
    while start < last:
        until = min(start + PAGE, last)
        try:
            found = _judged(store, start, until)
        except DamageError:
            found = [finding for seq in range(start + 1, until + 1) for finding in _alone(store, seq)]
        yield from found
        start = _end_of_gap(store, until, last)


def _end_of_gap(store: Store, after: int, last: int) -> int:
    """The number before the next event: a damaged number may be far away from all others."""
    try:
        found: int = store.rows("SELECT coalesce(min(seq) - 1, ?) FROM event WHERE seq > ?", last, after)[0][0]
    except DamageError:
        return after
    return found


def _alone(store: Store, seq: int) -> list[Finding]:
    """An event by itself, because one near it cannot be read."""
    try:
        return _judged(store, seq - 1, seq)
    except DamageError:
        return [_finding(store, "EV030", f"event number {seq} cannot be read", suggestion=RESTORE)]


def _judged(store: Store, after: int, until: int) -> list[Finding]:
    """What is wrong with a page of events, as of one moment: others may delete them."""
    with store.transaction("DEFERRED"):
        rows = store.rows(f"SELECT {EVENT} FROM event WHERE seq > ? AND seq <= ?", after, until)
        return [finding for row in rows for finding in _event(store, Stored(*row))]


def _event(store: Store, event: Stored) -> Iterator[Finding]:
    odd = event.odd()
    about: dict[str, Any] = {} if odd else {"event_id": event.id, "event_type": event.type}
    if torn := event.torn():
        yield _finding(store, "EV031", f"event {event.id}: {torn}", suggestion=RESTORE, **about)
        return
    if odd:
        yield _finding(store, "EV030", f"event {event.id}: {odd}", suggestion=RESTORE, **about)
    try:
        read = identify(event.raw)
    except ValueError as error:
        yield _finding(store, "EV032", f"event {event.id}: its bytes are no event: {error}", **about)
        return
    derived = {"id": read.id, "type": read.type, "source": read.source, "time": event_time(read)}
    if (event.seq,) not in store.rows(KEYED, event_key(read.id, read.source)):
        told = f"event {event.id}: it is not found by its id and source"
        yield _finding(store, "EV032", told, **about)
    for column, value in derived.items():
        if (found := getattr(event, column)) != value:
            told = f"event {event.id}: the column {column} is {found!r}, its bytes say {value!r}"
            yield _finding(store, "EV032", told, **about)


def _histories(store: Store) -> Iterator[Finding]:
    """Every delivery and every attempt by itself: what evtool writes, and nothing else."""
    after = 0
    while read := store.rows(f"SELECT {DELIVERY} FROM delivery WHERE seq > ? ORDER BY seq LIMIT ?", after, PAGE):
        after = read[-1][0]
        for row in read:
            if wrong := Delivery(*row).wrong():
                yield _finding(store, "EV030", wrong, suggestion=RESTORE)
    key = (0, 0)
    query = f"SELECT delivery, {ATTEMPT} FROM attempt WHERE (delivery, number) > (?, ?) ORDER BY 1, 2 LIMIT ?"
    while read := store.rows(query, *key, PAGE):
        key = read[-1][:2]
        for delivery, *row in read:
            if wrong := Attempt(*row).wrong():
                yield _finding(store, "EV030", f"delivery number {delivery}, {wrong}", suggestion=RESTORE)


def _rules(store: Store) -> Iterator[Finding]:
    for code, told, query in RULES:
        if count := store.rows(query)[0][0]:
            yield _finding(store, code, f"{told}: {count:,}")


def _sums(store: Store) -> Iterator[Finding]:
    """Whether every delivery is in one of the states, counted by other ways through the file."""
    with store.transaction("DEFERRED"):
        total = store.rows("SELECT count(*) FROM delivery")[0][0]
        each = {s: store.rows("SELECT count(*) FROM delivery WHERE state = ?", s)[0][0] for s in STATES}
    if total != sum(each.values()):
        said = " + ".join(f"{count:,} {state}" for state, count in each.items())
        yield _finding(store, "EV034", f"{total:,} deliveries are not {said}")


def _finding(store: Store, code: str, message: str, severity: str = "error", **more: Any) -> Finding:
    return Finding(code, message, severity, file=display(store.file), **more)
