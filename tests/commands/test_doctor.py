"""evtool doctor: it finds and names every problem of a store, and changes nothing."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from evtool.errors import StoreError
from evtool.events.envelopes import build_envelope, parse_event
from evtool.store.integrity import check_store
from evtool.store.rows import Cause, NewDelivery
from evtool.store.store import Store
from tests.conftest import Evtool
from tests.support.leases import claimed, ended

UNCHECKED = "PRAGMA ignore_check_constraints = ON"
BODY = b'{"note": "' + b"x" * 300 + b'"}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with 40 events, one of which was caused by another, deliveries in every state, and no -wal file."""
    with Store(tmp_path / "store.db") as store:
        for number in range(40):
            raw = build_envelope(BODY, type="t", source="s", id=f"id-{number}", time="2026-11-23T10:00:00Z")
            kept = store.insert(parse_event(raw), [NewDelivery("r", "h"), NewDelivery("r", "other")], now=0)
            if number < 4:
                [delivery] = claimed(store, now=number, begun=0, root=kept.seq)
                if number == 0:
                    ended(store, delivery, "done")
                    effect = build_envelope(b"{}", type="u", source="h", id="effect", time="2026-11-23T10:00:00Z")
                    store.insert(parse_event(effect), [], now=1, cause=Cause(delivery.seq, kept.seq, 1))
                elif number == 1:
                    ended(store, delivery, "dead", condition="NotRetriable")
                elif number == 2:
                    ended(store, delivery, "waiting", error="away", due=10)
    return store.file


def changed(file: Path, *statements: str) -> None:
    """Changes a store in a way in which evtool never changes it."""
    connection = apsw.Connection(str(file))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def codes(file: Path) -> list[str]:
    """Returns the codes of the findings."""
    with Store(file, writing=False) as store:
        return [finding.code for finding in check_store(store)]


def test_doctor_reports_a_sound_store_and_does_not_change_it(evtool: Evtool, file: Path) -> None:
    """Exit code 0, versions, journal and totals; the file keeps every byte."""
    before = file.read_bytes()
    ran = evtool("doctor", "--store", file, "-o", "json")

    assert (ran.code, ran.err) == (0, "")
    told, summary = ran.json["store"], ran.json["summary"]
    assert (told["mode"], told["sqlite"], told["wal_reset_fixed"]) == ("0600", apsw.sqlite_lib_version(), True)
    assert (told["journal"], told["tables"]) == ("wal", 3)
    assert summary["events"] == 41
    assert summary["deliveries"] == 80 == sum(summary[s] for s in ("done", "ready", "waiting", "leased", "dead"))
    assert (summary["done"], summary["leased"], summary["waiting"], summary["dead"]) == (1, 1, 1, 1)
    assert "all is well" in evtool("doctor", "--store", file).out
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        ("UPDATE event SET raw = CAST(replace(raw, 'xxx', 'xyx') AS BLOB) WHERE id = 'id-7'", "EV031", "id-7"),
        ("UPDATE event SET sha256 = zeroblob(32) WHERE id = 'id-8'", "EV031", "id-8"),
        ("UPDATE event SET id = CAST(x'eb41' AS TEXT) WHERE seq = 9", "EV030", "event number 9 cannot be read"),
        (
            "UPDATE delivery SET route = CAST(x'eb41' AS TEXT) WHERE seq = 30",
            "EV030",
            "too damaged to check its histories",
        ),
        ("UPDATE attempt SET output = CAST(x'eb41' AS TEXT)", "EV030", "too damaged to check its histories"),
        ("UPDATE event SET seq = 1000000000000000 WHERE id = 'id-39'", "EV033", "rows of delivery that refer"),
        ("UPDATE event SET type = 'other' WHERE id = 'id-9'", "EV032", "the column type is 'other'"),
        ("UPDATE event SET time = time + 1 WHERE id = 'id-9'", "EV032", "the column time"),
        ("UPDATE event SET root = 3 WHERE id = 'effect'", "EV032", "in their chain of causes: 1"),
        ("UPDATE event SET depth = 2 WHERE id = 'id-0'", "EV032", "events at a wrong place"),
        ("DELETE FROM event_key WHERE event = 9", "EV032", "it is not found by its id and source"),
        ("UPDATE event_key SET merged = 2 WHERE event = 9", "EV032", "it is not found by its id and source"),
        ("INSERT INTO event_key VALUES (0, 5, 1)", "EV034", "keys of a missing event, or of another event: 1"),
        ("INSERT INTO event_key VALUES (1, 5, 1000)", "EV034", "keys of a missing event, or of another event: 1"),
        ("DROP TRIGGER event_stored", "EV030", "the trigger event_stored is not as evtool creates it"),
        ("DELETE FROM delivery WHERE seq = 1", "EV033", "rows of attempt that refer to a missing row of delivery"),
        (
            "DELETE FROM event WHERE id = 'id-30'",
            "EV033",
            "rows of delivery that refer to a missing row of event: 2",
        ),
        ("UPDATE delivery SET attempts = 5 WHERE seq = 20", "EV034", "deliveries whose number of attempts differs"),
        (
            "INSERT INTO attempt (delivery, number, started) VALUES (30, 1, 0)",
            "EV034",
            "deliveries whose number of attempts",
        ),
        ("UPDATE delivery SET state = 'done', due = NULL WHERE seq = 30", "EV034", "or not done in spite of one: 1"),
        ("UPDATE delivery SET state = 'ready', due = 1 WHERE seq = 1", "EV034", "or not done in spite of one: 1"),
        ("UPDATE delivery SET state = 'dead' WHERE seq = 1", "EV034", "events emitted by a delivery that is not done"),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE delivery SET state = 'odd', due = 1 WHERE seq = 30",
            "EV034",
            "",
        ),
        (
            "DROP INDEX event_by_root; CREATE INDEX event_by_root ON event (root) WHERE seq > 5",
            "EV030",
            "the index event_by_root is not as evtool creates it",
        ),
        (
            f"{UNCHECKED}; UPDATE delivery SET due = NULL WHERE state = 'waiting'",
            "EV030",
            "it is waiting, and due None",
        ),
        (f"{UNCHECKED}; UPDATE delivery SET owner = NULL WHERE state = 'leased'", "EV030", "and its owner is None"),
        (f"{UNCHECKED}; UPDATE delivery SET due = 5 WHERE state = 'done'", "EV030", "it is done, and due 5"),
        ("UPDATE delivery SET condition = NULL WHERE state = 'dead'", "EV030", "it is dead, its condition None"),
        ("UPDATE delivery SET error = NULL WHERE state = 'dead'", "EV030", "it is dead, its condition 'NotRetriable'"),
        ("UPDATE delivery SET forgiven = 2 WHERE seq = 1", "EV030", "it has 1 attempts, of which 2 are forgiven"),
        ("UPDATE delivery SET forgiven = -1 WHERE seq = 1", "EV030", "it has 1 attempts, of which -1 are forgiven"),
        ("UPDATE delivery SET created = 1 << 60 WHERE seq = 9", "EV030", "delivery number 9: its created "),
        ("UPDATE event SET stored_at = -(1 << 60) WHERE id = 'id-9'", "EV030", "event id-9: its time "),
        ("UPDATE attempt SET started = 1 << 60", "EV030", "delivery number 1, attempt 1: its number or its start 115"),
        ("UPDATE attempt SET number = number + 1", "EV034", "deliveries whose number of attempts differs"),
        ("UPDATE attempt SET outcome = 'odd'", "EV030", "delivery number 1, attempt 1: its outcome is 'odd'"),
        ("UPDATE attempt SET outcome = NULL", "EV034", "deliveries that ended in an unfinished attempt"),
        (
            "INSERT INTO event_key SELECT 1, key, event FROM event_key WHERE event = 9",
            "EV034",
            "keys that occur twice: 1",
        ),
        ("UPDATE event SET seq = 0 WHERE seq = 9", "EV034", "with impossible numbers: 1"),
        ("UPDATE event SET seq = 9223372036854775807 WHERE seq = 9", "EV034", "with impossible numbers: 1"),
        ("UPDATE event SET replay = 'r' WHERE seq = 9", "EV032", "events of another replay than the delivery"),
        ("UPDATE sqlite_sequence SET seq = 9223372036854775807", "EV034", "counters of deliveries that"),
        ("UPDATE sqlite_sequence SET seq = 1", "EV034", "counters of deliveries that would repeat a number"),
        ("DELETE FROM sqlite_sequence", "EV034", "counters of deliveries that would repeat a number"),
        (
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ' ''dead'')', ' ''deaf'')')"
            " WHERE name = 'delivery'",
            "EV030",
            "the table delivery is not as evtool creates it",
        ),
        ("DROP INDEX event_by_root", "EV030", "the index event_by_root is not as evtool creates it"),
        ("ALTER TABLE delivery RENAME COLUMN attempts TO tries", "EV030", "the table delivery is not as evtool"),
        ("CREATE VIEW told AS SELECT id FROM event", "EV030", "the view told is not as evtool creates it"),
    ],
)
def test_doctor_finds_changes_by_other_programs(
    evtool: Evtool, file: Path, statement: str, code: str | None, said: str
) -> None:
    """Each kind of change has its finding, and exit code 1."""
    changed(file, "PRAGMA foreign_keys = OFF", *statement.split("; "))
    ran = evtool("doctor", "--store", file, "-o", "json")

    found = [finding for finding in ran.json["findings"] if finding["code"] == code and said in finding["message"]]
    assert bool(found) == (code is not None), ran.out
    assert ran.code == (1 if code else 0)


@pytest.mark.slow
def test_doctor_finds_every_flipped_bit_in_an_event(file: Path) -> None:
    """The finding names the event. A flipped bit elsewhere causes no crash."""
    good = file.read_bytes()
    with Store(file, writing=False) as store:
        stored = {event.seq: event.raw for event in store.read_events()}
    seed = random.Random(20261123)
    flipped = 0
    for place in seed.choices(range(100, len(good)), k=400):
        bad = bytearray(good)
        bad[place] ^= 1 << seed.randrange(8)
        file.write_bytes(bad)
        with suppress(StoreError), Store(file, writing=False) as store:
            found = list(check_store(store))
            now = dict(store.execute("SELECT seq, raw FROM event"))
            changed_events = {seq for seq, raw in now.items() if stored.get(seq) != raw}
            flipped += bool(changed_events)
            assert bool(changed_events) <= bool(found), place
            if now.keys() == stored.keys() and changed_events:
                # a flip in the header of a row can also move the next column, which SQLite's own check reports
                codes = [finding.code for finding in found if finding.code != "EV030"]
                assert codes == ["EV031"] * len(changed_events), place
    assert flipped > 20


def test_doctor_finds_an_event_without_bytes(evtool: Evtool, file: Path) -> None:
    """A damaged row header can replace the bytes by a value of any type."""
    loose = "UPDATE sqlite_schema SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '') WHERE name = 'event'"
    strict = "SELECT sql FROM sqlite_schema WHERE name = 'event'"
    connection = apsw.Connection(str(file))
    kept = connection.execute(strict).get
    connection.close()
    changed(file, "PRAGMA writable_schema = ON", loose)
    changed(file, "UPDATE event SET raw = NULL WHERE id = 'id-7'", "UPDATE event SET raw = 'text' WHERE id = 'id-8'")
    restore = f"UPDATE sqlite_schema SET sql = '{kept.replace(chr(39), chr(39) * 2)}' WHERE name = 'event'"
    changed(file, "PRAGMA writable_schema = ON", restore)
    ran = evtool("doctor", "--store", file, "-o", "json")

    found = [f["message"] for f in ran.json["findings"] if f["code"] == "EV031"]
    assert ran.code == 1, ran.err
    assert found == ["event id-7: its bytes are missing", "event id-8: its bytes are missing"]


def test_doctor_checks_the_events_outside_of_a_damaged_page(evtool: Evtool, file: Path) -> None:
    """A page that cannot be read hides only its own events."""
    content = bytearray(file.read_bytes())
    page = content.index(b'"id-20"') // 4096 * 4096
    content[page : page + 8] = b"\xff" * 8
    file.write_bytes(content)
    changed_later = content.index(BODY, content.index(b'"id-39"'))
    content[changed_later + 50] ^= 1
    file.write_bytes(content)
    ran = evtool("doctor", "--store", file, "-o", "json")

    assert ran.code == 1
    assert any("cannot be read" in f["message"] for f in ran.json["findings"])
    assert [f["event_id"] for f in ran.json["findings"] if f["code"] == "EV031"] == ["id-39"]


@pytest.mark.parametrize("words", [["doctor"], ["events"], ["publish", "-"], ["backup", "copy.db"]], ids=" ".join)
def test_a_write_version_unknown_to_sqlite_is_damage(
    evtool: Evtool, file: Path, tmp_path: Path, words: list[str]
) -> None:
    """Byte 18 of the header is the format for writing. SQLite only reads a file with a number that it does not know."""
    with file.open("r+b") as opened:
        opened.seek(18)
        opened.write(b"\3")
    before = file.read_bytes()
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    ran = evtool(*words, "--store", file, stdin=b"")

    assert ran.code == 4
    assert "its first bytes are not those that SQLite writes" in ran.err
    assert file.read_bytes() == before


def test_doctor_reports_no_problem_while_events_are_pruned(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event and its key are read at the same moment."""
    read = Store.execute

    def rows(store: Store, query: str, *values: Any) -> Any:
        found = read(store, query, *values)
        if "FROM event WHERE seq > ?" in query:
            changed(file, "PRAGMA foreign_keys = OFF", "DELETE FROM event_key", "DELETE FROM event")
        return found

    monkeypatch.setattr(Store, "execute", rows)
    with Store(file, writing=False) as store:
        told = [finding.message for finding in check_store(store)]
    assert not [message for message in told if "is not found by its id" in message]


def test_doctor_reports_a_store_that_others_can_read(evtool: Evtool, file: Path) -> None:
    """The finding says how to change the permissions."""
    file.chmod(0o644)
    ran = evtool("doctor", "--store", file)

    assert ran.code == 1
    assert "EV035 other users may read the store: its mode is 0644\n    chmod 600 " in ran.out


def test_doctor_does_not_disturb_a_writer(evtool: Evtool, file: Path) -> None:
    """It does not see the open transaction of another process."""
    with Store(file) as store, store.transaction():
        store.insert(
            parse_event(build_envelope(b"{}", type="t", source="s", id="new", time="2026-11-23T10:00:00Z")), [], now=0
        )
        ran = evtool("doctor", "--store", file, "-o", "json")

    assert (ran.code, ran.json["summary"]["events"]) == (0, 41)
    assert codes(file) == []


def test_doctor_does_not_advise_to_run_doctor(evtool: Evtool, file: Path) -> None:
    """Other commands give this advice for a store that cannot be opened."""
    with file.open("r+b") as opened:
        opened.truncate(5000)
    ran = evtool("doctor", "--store", file)

    assert ran.code == 4
    assert "the store is damaged and cannot be opened" in ran.err
    assert "evtool doctor" not in ran.err


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: None, "there is no store"),
        (lambda f: f.write_bytes(b""), "the file is empty: it never contained a store, or the store is lost"),
        (lambda f: f.write_bytes(b"x"), "this is not a store of evtool"),
        (lambda f: f.mkdir(), "this is a folder"),
    ],
)
def test_doctor_refuses_a_file_that_is_not_a_store(
    evtool: Evtool, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    """Exit code 2 for a missing file, which is not created, and 4 for a file of another kind."""
    file = tmp_path / "none.db"
    make(file)
    ran = evtool("doctor", "--store", file)

    assert ran.code == (4 if file.exists() else 2), ran.err
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not file.is_file() or file.read_bytes() in (b"", b"x")
