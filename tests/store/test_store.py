"""The store: inserts, conflicts, filters, and several processes that write at the same time."""

import json
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evtool.errors import DamageError
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.store.pruning import PruneFilter, prune
from evtool.store.rows import Cause, Filter, NewDelivery, NewEvent, compute_event_key
from evtool.store.store import Store
from tests.conftest import ROOT, Evtool
from tests.support.leases import claimed, ended


def event(number: int, detail: bytes = b"{}") -> Event:
    """Returns an event whose id is a number."""
    return parse_event(build_envelope(detail, type="t", source="s", id=str(number), time="2026-11-23T10:00:00Z"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Opens an empty store."""
    return Store(tmp_path / "deep/store.db")


def test_an_event_and_its_deliveries_are_stored_together(store: Store) -> None:
    """If the deliveries cannot be stored, the event is not stored."""
    broken = [NewDelivery("r", "h"), NewDelivery("r", None)]  # type: ignore[arg-type]
    with pytest.raises(DamageError, match="NOT NULL"):
        store.insert(event(1), broken, now=0)

    assert list(store.read_events()) == []
    assert claimed(store, now=10) == []


def test_an_event_with_a_known_key_is_not_stored_again(store: Store) -> None:
    """The same bytes are a duplicate. Other bytes are a conflict, and the stored event does not change."""
    first = store.insert(event(1), [NewDelivery("r", "h")], now=0)
    again = store.insert(event(1), [NewDelivery("r", "h")], now=1)
    other = store.insert(event(1, b'{"a": 1}'), [NewDelivery("r", "h")], now=2)

    assert [kept.status for kept in (first, again, other)] == ["stored", "duplicate", "conflict"]
    assert [e.raw for e in store.read_events()] == [event(1).raw]
    assert len(store.list_deliveries(first.seq)) == 1


def test_insert_many_stores_the_same_rows_as_insert(tmp_path: Path) -> None:
    """Events whose key exists, also from the same call, are returned as duplicates or conflicts."""
    deliveries = [NewDelivery("r", "h"), NewDelivery("r", "h2", "too deep", "Loop")]
    many = [NewEvent(event(1), []), NewEvent(event(2), deliveries), NewEvent(event(2, b'{"a": 1}'), deliveries)]
    many += [NewEvent(event(3)._replace(bus="orders"), deliveries), NewEvent(event(1), [])]
    with Store(tmp_path / "one.db") as one, Store(tmp_path / "many.db") as other:
        for store in (one, other):
            store.insert(event(1), [], now=5)
        results = other.insert_new(many, now=7)
        expected = [one.insert(entry.event, entry.deliveries, now=7) for entry in (many[1], many[3])]

        assert results == [None, expected[0], None, expected[1], None]
        assert list(other.read_events()) == list(one.read_events())
        for seq in (1, 2, 3):
            assert other.list_deliveries(seq) == one.list_deliveries(seq)


@pytest.mark.parametrize("other", [("1", "other"), ("2", "s"), ("2", "other")])
def test_events_with_the_same_key_hash_are_different_events(store: Store, other: tuple[str, str]) -> None:
    """The key is a hash. Source and id are compared, so both events are stored and found."""
    store.insert(event(1), [], now=0)
    with store.transaction():
        store.execute("UPDATE event_key SET key = ?", compute_event_key(*other))
        store.execute("UPDATE event SET key = ?", compute_event_key(*other))
    name, source = other
    second = parse_event(build_envelope(b"{}", type="t", source=source, id=name, time="2026-11-23T10:00:00Z"))

    assert store.find_event(source, name) is None
    assert list(store.read_events(Filter(ids=(name,)))) == ([store.get_event(1)] if name == "1" else [])
    assert store.insert(second, [], now=0).status == "stored"
    assert store.find_event(source, name) == store.get_event(2)
    assert store.insert(second, [], now=0).status == "duplicate"


def test_merged_keys_are_found(store: Store) -> None:
    """The 65,536th event merges the keys of the events before it. Each event is found, is stored once, and can be
    deleted.
    """
    for number in range(5):
        store.insert(event(number), [], now=0)
    with store.transaction():
        store.execute("UPDATE event_key SET event = 65535 WHERE event = 5")
        store.execute("UPDATE event SET seq = 65535 WHERE seq = 5")
    for number in range(5, 10):
        store.insert(event(number), [], now=0)

    merged = dict(store.execute("SELECT merged, count(*) FROM event_key GROUP BY 1"))
    assert merged.keys() == {0, 1}
    assert sum(merged.values()) == 10
    for number in range(10):
        assert store.insert(event(number), [], now=0).status == "duplicate"
        assert store.insert(event(number, b'{"a":1}'), [], now=0).status == "conflict"
        assert [found.id for found in store.read_events(Filter(ids=(str(number),)))] == [str(number)]
    list(prune(store, PruneFilter(before=1)))
    assert store.execute("SELECT count(*) FROM event_key") == [(0,)]


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(since=0, until=1 << 60),
        Filter(type="t"),
        Filter(source="s", last=10_000),
        Filter(route="r"),
        Filter(state="ready"),
        Filter(ids=tuple(map(str, range(0, 800, 2)))),
    ],
    ids=lambda wanted: next(name for name, value in wanted._asdict().items() if value),
)
def test_a_filter_reads_each_row_once(store: Store, wanted: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows in proportion to the events: a page does not read the rows of earlier pages again."""
    monkeypatch.setattr("evtool.store.store.PAGE", 20)
    work = [0]

    def step() -> bool:
        work[-1] += 1
        return False

    store.connection.set_progress_handler(step, 10)
    for start in (0, 400):
        work.append(0)
        with store.transaction():
            for number in range(start, start + 400):
                store.insert(event(number), [NewDelivery("r", "h")], now=0)
        work.append(0)
        assert len(list(store.read_events(wanted))) == (start + 400) // (2 if wanted.ids else 1)
    assert work[4] < 3 * work[2]


def test_the_cost_of_finding_an_event_does_not_depend_on_the_number_of_events(store: Store) -> None:
    work = [0]

    def step() -> bool:
        work[-1] += 1
        return False

    store.connection.set_progress_handler(step, 1)
    for start in (0, 100):
        work.append(0)
        with store.transaction():
            for number in range(start, start + 100):
                store.insert(event(number), [], now=0)
        work.append(0)
        assert store.find_event("s", "7") is not None
        assert store.find_event("s", "none") is None
    assert work[4] < 1.5 * work[2]


def test_events_are_read_in_stored_order_across_pages(store: Store) -> None:
    """Each event is listed once."""
    with store.transaction():
        for number in range(1203):
            store.insert(event(number), [], now=number)

    assert [e.id for e in store.read_events()] == [str(number) for number in range(1203)]
    assert [e.id for e in store.read_events(newest=3)] == ["1200", "1201", "1202"]


@pytest.fixture
def log(store: Store) -> Store:
    """Stores three events: the first emitted the second, which also has a delivery of a replay."""
    store.insert(event(1), [NewDelivery("r", "h"), NewDelivery("r2", "h")], now=10)
    [first, _] = store.list_deliveries(1)
    cause = Cause(first.seq, 1, 1)
    store.insert(event(2), [NewDelivery("r", "h")], now=20, cause=cause)
    store.add_deliveries(2, [NewDelivery("r3", "h", "gone", "Loop")], now=30, replay="again")
    store.insert(
        parse_event(build_envelope(b"{}", type="u", source="z", id="1", time="2026-11-23T10:00:01Z")), [], now=40
    )
    ended(store, *claimed(store, now=50), "done")
    return store


AT = 1_795_428_000_000  # 2026-11-23T10:00:00Z, in milliseconds


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [1, 2, 3]),
        (Filter(since=AT), [1, 2, 3]),
        (Filter(since=AT + 1), [3]),
        (Filter(until=AT + 1000), [1, 2]),
        (Filter(until=AT + 1001), [1, 2, 3]),
        (Filter(last=2), [1, 2]),
        (Filter(type="t"), [1, 2]),
        (Filter(source="z"), [3]),
        (Filter(route="r2"), [1]),
        (Filter(state="done"), [1]),
        (Filter(state="dead"), [2]),
        (Filter(route="r", state="done"), [1]),
        (Filter(route="r2", state="done"), []),
        (Filter(ids=("1",)), [1, 3]),
        (Filter(ids=("1", "2"), source="s"), [1, 2]),
    ],
)
def test_a_filter_selects_events_that_fulfil_all_its_conditions(log: Store, wanted: Filter, found: list[int]) -> None:
    """`since` is inclusive and `until` exclusive. Both compare the time of the event."""
    assert [each.seq for each in log.read_events(wanted)] == found
    assert [each.seq for each in log.read_events(wanted, newest=1)] == found[-1:]
    assert [each.seq for each in log.read_events(wanted, newest=len(found))] == found
    assert [seq for page in log.read_published_events(wanted) for seq, *_ in page] == found


def test_events_are_read_with_the_deliveries_of_their_publication(log: Store) -> None:
    """Deliveries of later replays are omitted. An event that a replay emitted has the deliveries of that replay."""
    log.insert(event(9), [NewDelivery("r", "h"), NewDelivery("a", "h")], now=AT, cause=Cause(1, 1, 1, "again"))
    log.add_deliveries(4, [NewDelivery("r", "h")], now=AT, replay="later")

    (page,) = log.read_published_events(Filter())
    assert [json.loads(fired) for *_, fired in page] == [
        [["r", "h", "done"], ["r2", "h", "ready"]],
        [["r", "h", "ready"]],
        [],
        [["r", "h", "ready"], ["a", "h", "ready"]],
    ]


def test_a_delivery_is_found_by_its_number(log: Store) -> None:
    numbers = [delivery.seq for each in log.read_events() for delivery in log.list_deliveries(each.seq)]
    assert len(numbers) > 2
    assert [log.get_delivery(number).seq for number in numbers] == numbers


def test_the_effects_and_the_cause_of_an_event_are_found(log: Store) -> None:
    """By its key, its chain, its deliveries with or without those of a replay, and the events that they emitted."""
    first, second = log.list_deliveries(1)
    found = log.find_event("s", "1")

    assert found is not None
    assert (found.seq, log.find_event("s", "3"), log.find_event("z", "2")) == (1, None, None)
    assert [each.seq for each in log.list_chain(1)] == [1, 2]
    assert [[each.seq for each in log.list_effects(seq)] for seq in (1, 2, 3)] == [[2], [], []]
    assert [[each.seq for each in log.list_emitted_events(delivery.seq)] for delivery in (first, second)] == [[2], []]
    assert [[d.route for d in log.list_deliveries(2, replay=name)] for name in (None, "", "again")] == [
        ["r", "r3"],
        ["r"],
        ["r3"],
    ]
    assert (log.has_replay("again"), log.has_replay("never")) == (True, False)
    assert [log.count_states(seq) for seq in (1, 2, 3)] == [{"done": 1, "ready": 1}, {"dead": 1, "ready": 1}, {}]
    assert (log.get_event(2).depth, log.get_event(2).cause, log.last_seq()) == (1, first.seq, 3)


@pytest.mark.slow
def test_eight_processes_store_each_line_once(evtool: Evtool, shop: Path) -> None:
    """Several processes import the same file at the same time. No process fails."""
    file = shop / "many.jsonl"
    file.write_bytes(b"\n".join(event(number).raw for number in range(300)))
    (shop / "routes.yaml").write_text("version: 1\n")

    with ThreadPoolExecutor(8) as pool:
        ran = list(pool.map(lambda _: evtool("publish", "many.jsonl", "-o", "json", cwd=shop), range(8)))

    assert {(r.code, r.err) for r in ran} == {(0, "")}
    statuses = [e["status"] for r in ran for e in r.json["events"]]
    assert (statuses.count("stored"), statuses.count("duplicate")) == (300, 2100)


def test_every_printed_event_survives_kill_9(shop: Path) -> None:
    """The import is killed in the middle. Every event that it printed is stored with its delivery."""
    (shop / "many.jsonl").write_bytes(b"\n".join(event(number).raw for number in range(5000)))
    (shop / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: ['true']}}\nroutes: {r: {pattern: {source: [s]}, to: [h]}}\n"
    )
    arguments = [sys.executable, "-m", "evtool", "publish", "many.jsonl", "--no-deliver", "-o", "jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, cwd=shop, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        told = [json.loads(process.stdout.readline())["id"] for _ in range(200)]
        process.send_signal(signal.SIGKILL)

    with Store(shop / ".evtool/store.db") as store:
        there = {e.id: [d.state for d in store.list_deliveries(e.seq)] for e in store.read_events()}
    assert set(told) <= set(there)
    assert set(map(tuple, there.values())) == {("ready",)}


def limit_file_size() -> None:
    """Limits all files to 64 KiB, which has the effect of a full disk without root."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))


@pytest.mark.slow
def test_a_full_disk_loses_no_printed_event(shop: Path) -> None:
    """Exit code 4 and one line. When there is space again, the same command stores the rest."""
    (shop / "many.jsonl").write_bytes(b"\n".join(event(number).raw for number in range(600)))
    (shop / "routes.yaml").write_text("version: 1\n")
    arguments = [sys.executable, "-m", "evtool", "publish", "many.jsonl", "-o", "jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    full = subprocess.run(arguments, cwd=shop, capture_output=True, env=environment, preexec_fn=limit_file_size)

    assert full.returncode == 4, full.stderr
    assert full.stderr.count(b"\n") == 1
    told = [json.loads(line)["id"] for line in full.stdout.splitlines()]
    with Store(shop / ".evtool/store.db") as store:
        assert {e.id for e in store.read_events()} >= set(told)
    assert subprocess.run(arguments, cwd=shop, capture_output=True, env=environment).returncode == 0
    with Store(shop / ".evtool/store.db") as store:
        assert len(list(store.read_events())) == 600
