"""Maintenance of the store as a user does it: copies, deletion of old events, totals."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from evtool.errors import UsageError
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.store.backup import backup
from evtool.store.integrity import check_store
from evtool.store.pruning import PruneFilter, prune, reclaim_space
from evtool.store.rows import Cause, NewDelivery
from evtool.store.store import Store
from tests.conftest import ROOT, Evtool
from tests.store.sqlite.test_errors import drop_permission_override
from tests.support.leases import claimed, ended

DAY = 86_400_000


def event(name: str, kind: str = "t", size: int = 0) -> Event:
    """An event whose id is the name."""
    detail = json.dumps({"x": "y" * size}).encode()
    return parse_event(build_envelope(detail, type=kind, source="s", id=name, time="2026-01-01T00:00:00Z"))


def settle(store: Store, root: int, how: str, now: int) -> int:
    """Gives the delivery of a root event a state, and returns its number."""
    if how == "ready":
        return 0
    [delivery] = claimed(store, now=now, lease=DAY * 1000, root=root)
    if how == "done":
        ended(store, delivery, "done")
    if how == "dead":
        ended(store, delivery, "dead", condition="NotRetriable")
    if how == "waiting":
        ended(store, delivery, "waiting", error="away", due=now)
    return delivery.seq


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with a chain for every state, 10 days old, and one that was done today."""
    now = time.time_ns() // 1_000_000
    with Store(tmp_path / "store.db") as store:
        for how in ("ready", "done", "dead", "waiting", "leased"):
            kept = store.insert(event(how), [NewDelivery("r", "h")], now=now - 10 * DAY)
            delivery = settle(store, kept.seq, how, now - 10 * DAY)
            if how == "done":
                cause = Cause(delivery, kept.seq, 1)
                store.insert(event("effect", "u"), [NewDelivery("r", "other")], now=now - 10 * DAY, cause=cause)
                settle(store, kept.seq, "done", now - 10 * DAY)
        store.insert(event("unrouted"), [], now=now - 10 * DAY)
        settle(store, store.insert(event("fresh"), [NewDelivery("r", "h")], now=now).seq, "done", now)
    return store.file


def ids(file: Path) -> list[str]:
    """Returns the ids of the stored events."""
    with Store(file) as store:
        assert list(check_store(store)) == []
        return [each.id for each in store.read_events()]


# --- backup ----------------------------------------------------------------------------------------------------------


def test_a_backup_equals_the_store_and_only_its_owner_can_read_it(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """The copy has the same content, opens as a store, is one file, and is reported."""
    ran = evtool("backup", "copy.db", "--store", file, "-o", "json")
    copy = tmp_path / "copy.db"

    assert (ran.code, ran.err) == (0, "")
    assert ran.json["files"] == [{"file": "copy.db", "bytes": copy.stat().st_size}]
    assert {key: ran.json["summary"][key] for key in ("events", "deliveries")} == {"events": 8, "deliveries": 7}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    assert ids(copy) == ids(file)
    assert evtool("backup", "other.db", "--store", file).out.startswith("copied 8 events, 7 deliveries to other.db (")


def test_a_backup_shows_one_moment_while_another_process_writes(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """It has what is committed, also what is still in the -wal, and nothing else. The writer is not disturbed."""
    with Store(file) as store:
        store.insert(event("committed"), [], now=0)
        with store.transaction():
            store.insert(event("not yet"), [], now=0)
            assert evtool("backup", "copy.db", "--store", file).code == 0
    assert ids(tmp_path / "copy.db") == [*ids(file)[:-2], "committed"]
    assert ids(file)[-1] == "not yet"


@pytest.mark.slow
def test_every_backup_during_an_import_is_a_complete_store(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """A later copy never has fewer events than an earlier one."""
    (tmp_path / "many.jsonl").write_bytes(b"\n".join(event(str(number)).raw for number in range(3000)))
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    arguments = [sys.executable, "-m", "evtool", "publish", "many.jsonl", "--store", str(file), "-q"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    held = []
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            assert evtool("backup", "copy.db", "--force", "--store", file).code == 0
            held.append(len(ids(tmp_path / "copy.db")))
    assert held == sorted(held)
    assert len(ids(file)) == 3008


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("store.db", "is the store itself"),
        ("link.db", "is the store itself"),
        ("store.db-wal", "is the store itself"),
        ("there.db", "exists already; --force"),
        ("notes.txt", "--force"),
        ("store.db-diary-1-x-1", "is the name of a call log of the store"),
        ("store.db-diary-new", "is the name of a call log of the store"),
        ("-", "a copy is a file, not a stream"),
        ("/", "it is a folder"),
        ("used.db", "used.db-wal exists"),
        (".", "it is a folder"),
        ("pipe", "it is not a regular file"),
        ("nowhere/copy.db", "No such file or directory"),
    ],
)
def test_a_backup_overwrites_only_files_and_only_with_force(
    evtool: Evtool, file: Path, tmp_path: Path, target: str, said: str
) -> None:
    """Otherwise exit code 2, one line, and all files are unchanged."""
    assert evtool("backup", "there.db", "--store", file).code == 0
    (tmp_path / "notes.txt").write_bytes(b"dear")
    (tmp_path / "store.db-diary-1-x-1").write_bytes(b"dear")
    (tmp_path / "used.db-wal").write_bytes(b"dear")
    (tmp_path / "link.db").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for force in ([], ["--force"]) if target != "there.db" else ([],):
        ran = evtool("backup", target, *force, "--store", file)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert said in ran.err
        after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        assert {name: after[name] for name in before} == before

    assert evtool("backup", "there.db", "--force", "--store", file).code == 0
    assert len(ids(tmp_path / "there.db")) == 8


def test_force_replaces_only_copies_and_empty_files(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """For any other file the message says that it is not a copy."""
    (tmp_path / "text.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    (tmp_path / "empty.db").touch()
    ran = evtool("backup", "text.db", "--force", "--store", file)
    assert (ran.code, "is not a copy of a store" in ran.err) == (2, True)
    assert evtool("backup", "empty.db", "--force", "--store", file).code == 0
    assert ids(tmp_path / "empty.db") == ids(file)


def test_force_replaces_a_copy_that_a_command_has_opened(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """The files that commands leave next to a copy do not mean that it is in use; an open connection does."""
    assert evtool("backup", "copy.db", "--store", file).code == 0
    assert evtool("events", "--store", "copy.db").code == 0
    assert evtool("doctor", "--store", "copy.db").code == 0
    with Store(tmp_path / "copy.db", writing=False):
        ran = evtool("backup", "copy.db", "--force", "--store", file)
        assert (ran.code, "copy.db-wal exists" in ran.err) == (2, True)
    assert evtool("backup", "copy.db", "--force", "--store", file).code == 0
    assert ids(tmp_path / "copy.db") == ids(file)


@pytest.mark.parametrize("force", [False, True])
def test_a_backup_refuses_a_target_created_during_the_copy(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """Another program may create the file while the copy is made and checked."""

    def findings_late(store: Store) -> Iterator[Finding]:
        (tmp_path / "copy.db").write_bytes(b"dear")
        return check_store(store)

    monkeypatch.setattr("evtool.store.backup.check_store", findings_late)
    with Store(file) as store, pytest.raises(UsageError, match="not a copy of a store" if force else "exists already"):
        backup(store, tmp_path / "copy.db", force=force)

    assert (tmp_path / "copy.db").read_bytes() == b"dear"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".copy")] == []


def test_a_copy_can_have_the_longest_file_name_with_any_umask(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """A name of 255 bytes; only the owner can read the file."""
    for name in ("x" * 255, "ü" * 127):
        script = f"umask 0777; exec {sys.executable} -m evtool backup {name} --store {file}"
        ran = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=drop_permission_override,
        )
        assert ran.returncode == 0
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        assert (tmp_path / name).read_bytes()[:15] == b"SQLite format 3"
    assert evtool("backup", "x" * 256, "--store", file).code == 2


def test_a_damaged_store_is_not_copied_over_a_good_backup(evtool: Evtool, file: Path, tmp_path: Path) -> None:
    """Exit code 4, and the existing file stays."""
    assert evtool("backup", "copy.db", "--store", file).code == 0
    good = (tmp_path / "copy.db").read_bytes()
    content = bytearray(file.read_bytes())
    page = content.index(b'"id": "waiting"') // 4096 * 4096
    content[page : page + 8] = b"\xff" * 8
    file.write_bytes(content)
    ran = evtool("backup", "copy.db", "--force", "--store", file)

    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert "damaged" in ran.err
    assert (tmp_path / "copy.db").read_bytes() == good


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET raw = CAST(replace(raw, '2026', '2027') AS BLOB) WHERE id = 'done'",
        "UPDATE event SET raw = x'' WHERE id = 'done'",
        "PRAGMA ignore_check_constraints = ON; UPDATE delivery SET due = NULL WHERE state = 'waiting'",
        "DROP TRIGGER event_stored",
    ],
)
def test_damage_that_only_doctor_finds_stops_a_backup(
    evtool: Evtool, file: Path, tmp_path: Path, statement: str
) -> None:
    """SQLite reports nothing for it. The existing copy stays, and no partial copy is left."""
    assert evtool("backup", "copy.db", "--store", file).code == 0
    good = (tmp_path / "copy.db").read_bytes()
    connection = apsw.Connection(str(file))
    connection.execute(statement)
    connection.close()
    ran = evtool("backup", "copy.db", "--force", "--store", file)

    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert "store.db: the store is damaged, no copy was made: `evtool doctor` says where" in ran.err
    assert (tmp_path / "copy.db").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]


# --- retention -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--older-than", "9d"], ["done", "effect", "unrouted"]),
        (["--older-than", "9d", "--state", "done", "--state", "dead"], ["dead", "done", "effect", "unrouted"]),
        (["--older-than", "9d", "--state", "dead"], ["dead", "unrouted"]),
        (["--older-than", "0s"], ["done", "effect", "fresh", "unrouted"]),
        (["--older-than", "11d"], []),
    ],
)
def test_prune_deletes_only_old_and_finished_chains(
    evtool: Evtool, file: Path, options: list[str], gone: list[str]
) -> None:
    """A dry run reports the same, and changes nothing. Open deliveries always stay, dead ones without --state dead."""
    before = ids(file)
    dry = evtool("events", "prune", *options, "--dry-run", "--store", file, "-o", "json")
    assert ids(file) == before
    ran = evtool("events", "prune", *options, "--store", file, "-o", "json")

    assert (dry.code, ran.code, ran.err) == (0, 0, "")
    assert sorted(set(before) - set(ids(file))) == gone
    assert ran.json["types"] == dry.json["types"]
    assert ran.json["summary"]["events"] == dry.json["summary"]["events"] == len(gone)
    assert ran.json["summary"]["bytes"] == sum(len(event(name, "u" if name == "effect" else "t").raw) for name in gone)
    assert evtool("events", "prune", *options, "--store", file, "-o", "json").json["summary"]["events"] == 0


def test_a_chain_is_kept_if_a_part_of_it_is_young_or_open(tmp_path: Path) -> None:
    """An old event stays if an effect is young, was redriven or replayed recently, or is not done."""
    with Store(tmp_path / "store.db") as store:
        for name, effect_at, how in (("old", 5, "done"), ("young", 500, "done"), ("open", 5, "ready")):
            kept = store.insert(event(name), [NewDelivery("r", "h")], now=0)
            cause = Cause(settle(store, kept.seq, "done", 0), kept.seq, 1)
            store.insert(event(f"{name} effect"), [NewDelivery("r", "h")], now=effect_at, cause=cause)
            settle(store, kept.seq, how, 600)
        replayed = store.insert(event("replayed"), [], now=0)
        store.add_deliveries(replayed.seq, [NewDelivery("r", "h")], now=500, replay="again")
        settle(store, replayed.seq, "done", 600)

        assert sum(gone.events for gone in prune(store, PruneFilter(before=100))) == 2
        assert [each.id for each in store.read_events()] == ["young", "young effect", "open", "open effect", "replayed"]
        assert list(check_store(store)) == []


def test_pruning_shrinks_the_file_in_several_transactions(tmp_path: Path) -> None:
    """Other processes can write between the transactions, and all totals stay correct."""
    with Store(tmp_path / "store.db") as store, Store(tmp_path / "store.db", busy_timeout=0.0) as other:
        with store.transaction():
            for number in range(1000):
                store.insert(event(str(number), size=2000), [], now=number)
        before = store.file.stat().st_size + (tmp_path / "store.db-wal").stat().st_size
        for batch, gone in enumerate(prune(store, PruneFilter(before=900))):
            assert gone.events == 100
            other.insert(event(f"meanwhile-{batch}"), [], now=10_000)
        freed = reclaim_space(store)
    after = (tmp_path / "store.db").stat().st_size

    assert freed > 1_800_000
    assert after < before - freed + 100_000
    assert len(ids(tmp_path / "store.db")) == 109


def test_an_event_whose_id_is_a_command_can_be_shown(evtool: Evtool, tmp_path: Path) -> None:
    """`events prune` is a command; an event with the id `prune` is shown after --, or with its source."""
    with Store(tmp_path / "store.db") as store:
        store.insert(event("prune"), [], now=0)
    for words in (["--", "prune"], ["--source", "s", "prune"]):
        options = ["--store", "store.db", "-o", "json"]
        assert evtool("events", *options, *words).json["event"]["id"] == "prune"
    ran = evtool("events", "prune", "--store", "store.db")
    assert (ran.code, "--older-than" in ran.err) == (2, True)


@pytest.mark.parametrize("options", [["--older-than", "long"], ["--older-than", "1d", "--state", "leased"]])
def test_invalid_options_of_prune_are_refused(evtool: Evtool, file: Path, options: list[str]) -> None:
    """A duration that cannot be parsed, and states that are not final: exit code 2, nothing is deleted."""
    ran = evtool("events", "prune", *options, "--store", file)

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert len(ids(file)) == 8


# --- sums ------------------------------------------------------------------------------------------------------------


def test_the_summary_counts_every_selected_delivery_once(evtool: Evtool, file: Path) -> None:
    """By route and handler, and in total."""
    for options in (
        [],
        ["--type", "t"],
        ["--type", "u"],
        ["--since", "1d"],
        ["--state", "dead"],
        ["--route", "r"],
        ["--type", "x"],
    ):
        told = evtool("events", "--summary", *options, "--store", file, "-o", "json").json
        listed = evtool("events", *options, "--store", file, "-o", "json").json["events"]
        states = ("done", "ready", "waiting", "leased", "dead")
        for row in (*told["handlers"], told["summary"]):
            assert row["deliveries"] == sum(row[state] for state in states)
        for key in ("deliveries", *states):
            assert told["summary"][key] == sum(row[key] for row in told["handlers"])
        assert told["summary"]["events"] == len(listed)
        assert told["summary"]["deliveries"] == sum(sum(each["states"].values()) for each in listed)
    lines = evtool("events", "--summary", "--store", file).out.splitlines()
    assert lines[-2].split() == ["all", "7", "3", "1", "1", "1", "1"]
    assert evtool("events", "fresh", "--summary", "--store", file).code == 2
