"""publish of many events: the first trees, every failure, and a table; on a terminal words stay whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Evtool
from tests.support.terminal import run_on_terminal

LONG_PATH = "/srv/shop/" + "a-long-folder/" * 8 + "order.json"
ROUTES = f"""version: 1
handlers:
  ok: {{command: [echo, packed]}}
  bad: {{command: [sh, -c, "echo there is no file {LONG_PATH} >&2; exit 1"]}}
routes:
  good: {{pattern: {{source: [s]}}, to: [ok]}}
  fails: {{pattern: {{source: [s], detail-type: [broken]}}, to: [bad], retry: {{max_attempts: 1}}}}
"""
FAILING = (3, 28)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A project, and 30 events: two fail, and one matches no route."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    rows = [
        {
            "id": f"e-{number}",
            "source": "other" if number == 25 else "s",
            "detail-type": "broken" if number in FAILING else "placed",
            "detail": {},
        }
        for number in range(30)
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def list_trees(out: str) -> list[int]:
    """Returns the numbers of the events that have a tree."""
    return [int(line.split("  e-")[1].split()[0]) for line in out.splitlines() if "  e-" in line]


def test_the_first_20_and_all_failures_have_a_tree(evtool: Evtool, events: Path) -> None:
    """A line says that the others are not shown. A table counts all of them, problems first."""
    ran = evtool("publish", "events.jsonl")
    lines = ran.out.splitlines()

    assert ran.code == 1
    assert list_trees(ran.out) == [*range(20), 28]
    assert ran.out.count("from here on only failures are shown; -v shows every event") == 1
    assert ran.out.count(LONG_PATH) == 2
    assert [line.split() for line in lines[-6:]] == [
        ["type", "route", "handler", "state", "count"],
        ["broken", "fails", "bad", "dead", "2"],
        ["placed", "no", "route", "takes", "it", "1"],
        ["placed", "good", "ok", "done", "27"],
        ["broken", "good", "ok", "done", "2"],
        ["30", "events,", "31", "deliveries,", "29", "done,", "2", "dead"],
    ]


def test_v_shows_every_tree_and_q_only_failures(evtool: Evtool, events: Path) -> None:
    """With -v also what the handlers printed; neither has a table."""
    ran = evtool("publish", "events.jsonl", "-v")
    assert list_trees(ran.out) == [*range(30)]
    assert ran.out.count("| packed") == 29
    assert "count" not in ran.out
    repeated = evtool("publish", "events.jsonl")
    assert ["placed", "already", "stored", "28"] in [line.split() for line in repeated.out.splitlines()]
    (events / ".evtool/store.db").unlink()
    ran = evtool("publish", "events.jsonl", "-q")
    assert list_trees(ran.out) == [*FAILING]
    assert (ran.code, ran.err) == (1, "")


def test_json_has_every_event(evtool: Evtool, events: Path) -> None:
    """Only the text is shortened."""
    ran = evtool("publish", "events.jsonl", "-o", "json", "-o", "text=report.txt")
    assert [record["id"] for record in ran.json["events"]] == [f"e-{number}" for number in range(30)]
    assert list_trees((events / "report.txt").read_text()) == [*range(20), 28]


def test_a_repeated_event_in_one_batch_is_a_duplicate_or_a_conflict(evtool: Evtool, events: Path) -> None:
    """As in different batches."""
    lines = (events / "events.jsonl").read_text().splitlines()
    again, other = lines[1], lines[2].replace('"detail": {}', '"detail": {"a": 1}')
    (events / "more.jsonl").write_text("\n".join([*lines[:10], again, other, *lines[10:20]]))
    ran = evtool("publish", "more.jsonl", "--no-deliver", "-o", "json")
    rerun = evtool("publish", "more.jsonl", "--no-deliver", "-o", "json")

    statuses = [record["status"] for record in ran.json["events"]]
    assert statuses == ["stored"] * 10 + ["duplicate"] + ["stored"] * 10
    assert [(finding["code"], finding["line"]) for finding in ran.json["findings"]] == [("EV010", 12)]
    assert [record["status"] for record in rerun.json["events"]] == ["duplicate"] * 21
    assert ran.json["summary"]["events"] == 21


def test_20_events_have_no_table(evtool: Evtool, events: Path) -> None:
    """All of them have a tree."""
    lines = (events / "events.jsonl").read_text().splitlines()
    ran = evtool("publish", "-", stdin="\n".join(lines[:20]).encode())
    assert "count" not in ran.out
    assert "from here on" not in ran.out


@pytest.mark.parametrize("columns", [80, 40])
def test_a_tree_does_not_break_words(events: Path, columns: int) -> None:
    """A path longer than a line has its own line; a long id stays on the line of its event."""
    long_id = "0" * 100
    event = {"id": long_id, "source": "s", "detail-type": "broken", "detail": {}}
    shown = run_on_terminal("publish", "-", cwd=events, columns=columns, stdin=json.dumps(event).encode())

    assert [line.split()[-1] for line in shown.lines if LONG_PATH in line] == [LONG_PATH]
    assert [line.split()[-1] for line in shown.lines if long_id in line] == [long_id]
    lines = [line.rpartition("\r")[2] for line in shown.lines]  # without the progress line of a slow machine
    assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []


WAITING = """version: 1
handlers:
  reader: {command: [sh, -c, "cat pipe >/dev/null"], timeout: 20s}
  writer: {command: [sh, -c, "echo >pipe"], timeout: 20s}
  quick: {command: ["true"]}
routes:
  read: {pattern: {detail-type: [read]}, to: [reader]}
  write: {pattern: {detail-type: [write]}, to: [writer]}
  other: {pattern: {detail-type: [other]}, to: [quick]}
"""


def write_waiting(folder: Path, *types: str) -> None:
    """A project whose handler `reader` waits until another handler writes to a pipe, and events of these types."""
    (folder / "routes.yaml").write_text(WAITING)
    os.mkfifo(folder / "pipe")
    rows = [{"id": f"e-{n}", "source": "s", "detail-type": name, "detail": {}} for n, name in enumerate(types)]
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_handlers_of_several_events_run_at_the_same_time(evtool: Evtool, tmp_path: Path) -> None:
    """The handler of the first event waits for that of the second."""
    write_waiting(tmp_path, "read", "write")
    ran = evtool("publish", "events.jsonl", "-o", "json")
    states = [(event["id"], event["deliveries"][0]["state"]) for event in ran.json["events"]]
    assert states == [("e-0", "done"), ("e-1", "done")]


def test_an_event_is_reported_while_the_next_ones_are_in_progress(tmp_path: Path) -> None:
    """Its tree is printed when its handlers have ended."""
    write_waiting(tmp_path, "other", "read", "other")
    command = [sys.executable, "-m", "evtool", "publish", "events.jsonl", "-o", "jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        (tmp_path / "pipe").write_text("go on")
        others = [json.loads(line) for line in running.stdout]
    assert [first["id"], *(other["id"] for other in others[:-1])] == ["e-0", "e-1", "e-2"]
    assert others[-1]["summary"]["done"] == 3


def test_one_worker_calls_one_handler_after_the_other(evtool: Evtool, tmp_path: Path) -> None:
    """With --workers 1 the second handler begins when the first has ended."""
    write_waiting(tmp_path, "read", "write")
    routes = (tmp_path / "routes.yaml").read_text()
    (tmp_path / "routes.yaml").write_text(routes.replace("20s", "300ms"))
    ran = evtool("publish", "events.jsonl", "--workers", "1", "-o", "json")
    assert ran.json["events"][0]["deliveries"][0]["error"].startswith("took longer")
