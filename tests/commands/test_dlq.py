"""Dead letters as a user sees them: their contents, how they are selected, redriven and purged."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from evtool.cli import app
from evtool.cli.session import now_ms
from evtool.events.envelopes import build_envelope, parse_event
from evtool.reports.formats.jsonl import JsonLines
from evtool.store.rows import Cause, NewDelivery
from evtool.store.store import Store
from tests.conftest import Evtool, Ran
from tests.support.leases import claimed, ended

DAY = 86_400_000
ROUTES = """
version: 1
handlers:
  exits: {command: [sh, -c, "echo why; exit 3"]}
  killed: {command: [sh, -c, "kill -SEGV $$"]}
  raises: {python: "work.py:work"}
  slow: {command: [sleep, "9"], timeout: 50ms}
routes:
  all:
    pattern: {detail-type: [t]}
    to: [exits, killed, raises, slow]
    retry: {max_attempts: 2, first_delay: 1ms, max_delay: 1ms}
"""


def test_dlq_show_reports_event_route_limit_and_every_attempt(evtool: Evtool, tmp_path: Path) -> None:
    """Each attempt has time, duration, outcome, code, error and the end of its output."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "work.py").write_text("def work(event, context):\n    print('hm')\n    return {}['no']\n")
    event = evtool("publish", "-", "--type", "t", "-o", "json", stdin=b'{"a": 1}').json["events"][0]["id"]
    evtool("deliver", "--now")
    letters = {letter["handler"]: letter for letter in evtool("dlq", "show", "-o", "json").json["deliveries"]}

    assert {handler: letter["history"][1]["code"] for handler, letter in letters.items()} == {
        "exits": "3",
        "killed": "SIGSEGV",
        "raises": "KeyError",
        "slow": None,
    }
    assert [letter["history"][1]["outcome"] for letter in letters.values()] == [
        "failed",
        "crashed",
        "failed",
        "timeout",
    ]
    assert {letter["condition"] for letter in letters.values()} == {"MaximumRetryAttempts"}
    assert {(letter["event"], letter["route"], letter["attempts"]) for letter in letters.values()} == {
        (event, "all", 2)
    }
    assert all(letter["document"]["detail"] == {"a": 1} for letter in letters.values())
    [first, second] = letters["exits"]["history"]
    assert (first["attempt"], first["output"], first["error"]) == (1, "why\n", "exit 3")
    assert first["started"] < second["started"]
    assert all(a["duration_ms"] >= 0 for letter in letters.values() for a in letter["history"])
    text = evtool("dlq", "show", "--handler", "exits").out
    assert all(part in text for part in ("[MaximumRetryAttempts]", "attempt 2", "failed: exit 3", "| why", '"a": 1'))


def test_dead_letters_are_errors_in_annotations_and_failed_tests(evtool: Evtool, tmp_path: Path) -> None:
    """Each is an error in annotations, and a failed test."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "work.py").write_text("def work(event, context):\n    return {}['no']\n")
    evtool("publish", "-", "--type", "t", stdin=b"{}")
    evtool("deliver", "--now")

    ran = evtool("dlq", "list", "-o", "github", "-o", "junit=out.xml")

    assert ran.out.count("::error title=dead delivery::") == 4
    assert 'tests="4" failures="4"' in (tmp_path / "out.xml").read_text()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with dead letters of two types, two routes and two handlers, of which one died 10 days ago.

    Another was published earlier, but died today: what counts is when a letter died.
    """
    now = time.time_ns() // 1_000_000
    with Store(tmp_path / "store.db") as made:
        for number, (kind, age) in enumerate((("a", 10), ("b", 20), ("a", 0))):
            raw = build_envelope(b"{}", type=kind, source="s", id=f"id-{number}", time="2026-01-01T00:00:00Z")
            kept = made.insert(parse_event(raw), [NewDelivery("r1", "h"), NewDelivery("r2", "g")], now=now - age * DAY)
            for _ in range(2):
                [letter] = claimed(made, now=now, root=kept.seq)
                ended(made, letter, "dead", error="no", condition="NotRetriable")
        made.execute("UPDATE attempt SET started = ? WHERE delivery < 3", now - 10 * DAY)
        made.insert(parse_event(raw.replace(b"id-2", b"well")), [NewDelivery("r1", "h")], now=now)
    return made.file


CHOICES = [
    ([], 6),
    (["id-1"], 2),
    (["id-1", "id-2", "--route", "r1"], 2),
    (["--handler", "g"], 3),
    (["--route", "r2", "--type", "a"], 2),
    (["--older-than", "9d"], 2),
    (["--older-than", "9d", "--handler", "h"], 1),
    (["--older-than", "11d"], 0),
    (["--type", "none"], 0),
]


def deliveries(ran: Ran) -> int:
    """Returns the number of reported dead letters, which must be that of the summary."""
    assert (ran.code, len(ran.json["deliveries"])) == (0, ran.json["summary"]["deliveries"]), ran.err
    return len(ran.json["deliveries"])


@pytest.mark.parametrize(("options", "count"), CHOICES)
def test_all_dlq_commands_select_the_same_dead_letters(
    evtool: Evtool, store: Path, options: list[str], count: int
) -> None:
    """list, a dry run of redrive and purge, and redrive."""

    def dlq(*words: str) -> int:
        return deliveries(evtool("dlq", *words, *options, "--store", store, "-o", "json"))

    before = store.read_bytes()
    assert (dlq("list"), dlq("redrive", "--dry-run")) == (count, count)
    if options:
        assert dlq("purge", "--dry-run") == count
    assert store.read_bytes() == before
    assert dlq("redrive") == count
    states = evtool("events", "--summary", "--store", store, "-o", "json").json["summary"]
    assert (states["ready"], states["dead"]) == (1 + count, 6 - count)
    assert dlq("redrive") == 0


def test_a_second_redrive_changes_nothing(evtool: Evtool, store: Path) -> None:
    """Exit code 0 each time. A note names the states of the named events that are not dead."""
    first = evtool("dlq", "redrive", "id-1", "well", "--store", store)
    assert (first.code, first.out.count("\n")) == (0, 2)
    assert first.err.splitlines() == [
        "now ready: `evtool deliver` attempts them",
        "no selected dead letter: well (1 ready)",
    ]
    for words in (
        ["redrive", "id-1"],
        ["list", "id-1"],
        ["show", "id-1"],
        ["purge", "id-1"],
        ["redrive", "id-1", "-q"],
    ):
        again = evtool("dlq", *words, "--store", store)
        assert (again.code, again.out) == (0, "" if "-q" in words else "no dead letters\n")
        assert again.err == ("" if "-q" in words else "no selected dead letter: id-1 (2 ready)\n")
    assert evtool("events", "--store", store, "--summary", "-o", "json").json["summary"]["deliveries"] == 7
    assert evtool("dlq", "redrive", "id-2", "--type", "b", "--store", store).err.endswith("id-2 (2 dead)\n")


def test_purge_deletes_dead_letters_and_keeps_their_events(evtool: Evtool, store: Path) -> None:
    """Their attempts are deleted, too. Other deliveries stay, and doctor finds no problem."""
    assert deliveries(evtool("dlq", "purge", "--handler", "h", "--store", store, "-o", "json")) == 3
    assert deliveries(evtool("dlq", "purge", "--handler", "h", "--store", store, "-o", "json")) == 0
    assert deliveries(evtool("dlq", "list", "--store", store, "-o", "json")) == 3
    summary = evtool("doctor", "--store", store, "-o", "json").json["summary"]

    assert (summary["errors"], summary["events"], summary["deliveries"]) == (0, 4, 4)
    assert deliveries(evtool("dlq", "purge", "--all", "--store", store, "-o", "json")) == 3
    assert evtool("dlq", "list", "--store", store).out == "no dead letters\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["purge"], "select the dead letters"),
        (["purge", "--all", "--handler", "h"], "--all means every dead letter"),
        (["purge", "nobody"], "there is no event nobody"),
        (["list", "--older-than", "long"], "a length of time is a number with a unit"),
    ],
)
def test_purge_refuses_an_ambiguous_selection(evtool: Evtool, store: Path, words: list[str], said: str) -> None:
    """Exit code 2, one line, and every dead letter stays."""
    ran = evtool("dlq", *words, "--store", store)

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
    assert deliveries(evtool("dlq", "list", "--store", store, "-o", "json")) == 6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dlq", "list"], 6),
        (["dlq", "show"], 6),
        (["dlq", "redrive"], 6),
        (["dlq", "purge", "--all"], 6),
        (["events"], 6),
    ],
)
def test_lists_show_a_consistent_page_while_events_are_pruned(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: int
) -> None:
    """Another process prunes while the first line is printed."""
    with Store(store) as other:
        [well] = claimed(other, now=now_ms(), root=4)
        ended(other, well, "done")
        caused = Cause(well.seq, 4, 1)
        for number in (3, 4):
            effect = build_envelope(
                b"{}", type="effect", source="s", id=f"effect-{number}", time="2026-01-01T00:00:00Z"
            )
            other.insert(parse_event(effect), [], now=0, cause=caused)
    write = JsonLines.add_record

    def pruned(report: JsonLines, record: Any) -> None:
        with Store(store) as other, other.transaction():
            for table in ("attempt", "delivery", "event"):
                other.execute("PRAGMA defer_foreign_keys = ON")
                other.execute(f"DELETE FROM {table}")
        write(report, record)

    monkeypatch.setattr(JsonLines, "add_record", pruned)
    assert app.main([*words, "--store", str(store), "-o", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == told + 1
    assert all(line["states"] for line in lines[:3] if words == ["events"])
