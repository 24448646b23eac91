"""The commands that use buses, with a file as the bus, and the errors that they report before they connect."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

ORDER = {"id": "1", "detail-type": "t", "source": "s", "time": "2020-01-01T00:00:00Z", "detail": {"n": 1}}
ROUTES = """version: 1
buses:
  log: {url: "file:log.jsonl"}
  broken: {url: "kafka://127.0.0.1:1"}
handlers:
  h: {command: ["true"]}
routes:
  all: {pattern: {source: [s]}, to: [h]}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    lines = [json.dumps({**ORDER, "id": str(number)}) for number in range(3)]
    (tmp_path / "events.jsonl").write_text("\n".join([*lines, "{"]))
    (tmp_path / "good.jsonl").write_text("\n".join(lines))


def test_publish_sends_valid_events_to_a_bus(evtool: Evtool, tmp_path: Path) -> None:
    ran = evtool("publish", "events.jsonl", "--bus", "log")

    assert ran.code == 1
    assert ran.out == "3 events sent to log, 1 invalid\n"
    assert "events.jsonl:4:2: EV002" in ran.err
    assert [json.loads(line)["id"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == ["0", "1", "2"]
    assert not (tmp_path / ".evtool").exists()


def test_publish_to_a_bus_has_a_json_report(evtool: Evtool) -> None:
    ran = evtool("publish", "events.jsonl", "--bus", "log", "-o", "json")

    assert [(event["id"], event["status"], event["error"]) for event in ran.json["events"]] == [
        (str(number), "sent", None) for number in range(3)
    ]
    assert [finding["code"] for finding in ran.json["findings"]] == ["EV002"]
    assert {"events": 3, "sent": 3, "failed": 0, "invalid": 1}.items() <= ran.json["summary"].items()


def test_pull_stores_each_event_once(evtool: Evtool) -> None:
    evtool("publish", "good.jsonl", "--bus", "log")

    first = evtool("pull", "log", "-o", "json")
    second = evtool("pull", "log")

    assert first.code == 0
    assert first.json["summary"] == {"read": 3, "stored": 3, "duplicates": 0, "sent": 0, "failed": 0, "invalid": 0}
    assert second.out == "read 3 events from log: 0 events stored in .evtool/store.db, 3 stored before\n"
    assert evtool("deliver", "-o", "json").json["deliveries"] == []


def test_pull_gives_events_without_an_id_the_same_one_each_time(evtool: Evtool, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"Source": "s", "DetailType": "t", "Detail": "{}"}\n')

    evtool("pull", "log")

    assert evtool("pull", "log", "-o", "json").json["summary"]["duplicates"] == 1
    assert [event["id"] for event in evtool("events", "-o", "json").json["events"]] == ["log.jsonl-1"]


def test_pull_reports_unreadable_lines_and_stores_the_others(evtool: Evtool, tmp_path: Path) -> None:
    evtool("publish", "good.jsonl", "--no-deliver")
    other = json.dumps({**ORDER, "id": "0", "detail": {"n": 2}})
    (tmp_path / "log.jsonl").write_text(other + "\n" + (tmp_path / "events.jsonl").read_text())

    ran = evtool("pull", "log", "-o", "json")

    assert ran.code == 1
    assert ran.json["summary"] == {"read": 5, "stored": 0, "duplicates": 3, "sent": 0, "failed": 1, "invalid": 1}
    assert {finding["code"] for finding in ran.json["findings"]} == {"EV002", "EV010"}
    assert all(finding["file"] for finding in ran.json["findings"])


def test_pull_writes_events_to_a_file(evtool: Evtool, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text((tmp_path / "good.jsonl").read_text())

    ran = evtool("pull", "log", "--to", "copy.jsonl", "--limit", "2")

    assert ran.out == "read 2 events from log: 2 events stored in copy.jsonl\n"
    assert (tmp_path / "copy.jsonl").read_text().splitlines() == (tmp_path / "good.jsonl").read_text().splitlines()[:2]
    assert not (tmp_path / ".evtool").exists()
    assert evtool("pull", "log", "--to", "-").code == 2


def test_push_sends_the_selected_events(evtool: Evtool, tmp_path: Path) -> None:
    evtool("publish", "good.jsonl", "--no-deliver")

    def pushed(*arguments: str) -> list[str]:
        (tmp_path / "log.jsonl").unlink(missing_ok=True)
        assert evtool("push", "log", *arguments).code == 0
        return [json.loads(line)["id"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    assert pushed() == ["0", "1", "2"]
    assert pushed("1") == ["1"]
    assert pushed("--limit", "2", "--route", "all") == ["0", "1"]
    assert pushed("--type", "other") == []
    assert pushed("--since", "2019-01-01", "--until", "2020-01-01") == []
    assert pushed("--pattern", '{"id": ["2"]}') == ["2"]
    assert pushed("good.jsonl", "--pattern", '{"id": ["2"]}') == ["2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["push", "log", "9"], "there is no event 9 in"),
        (["push", "log", "9", "good.jsonl"], "name ids of stored events or files, not both"),
        (["push", "log", "--route", "x"], "there is no route x"),
        (["push", "lgo"], 'there is no bus lgo in `buses` of routes.yaml; did you mean "log"?'),
        (["pull", "log"], "log: there is no file log.jsonl"),
        (["pull", "broken"], "kafka://127.0.0.1:1 names no topic"),
        (["publish", "good.jsonl", "--bus", "log", "--dry-run"], "--bus sends events, and --dry-run does not"),
        (["publish", "good.jsonl", "--bus", "log", "--no-deliver"], "--bus sends events, and --no-deliver does not"),
        (["publish", "good.jsonl", "--bus", "file:no/log.jsonl"], "cannot be written: No such file or directory"),
        (["pull", "log", "--since", "2021", "--until", "2020"], '"2021" is not a time'),
    ],
)
def test_impossible_requests_are_explained(arguments: list[str], message: str, evtool: Evtool) -> None:
    evtool("publish", "good.jsonl", "--no-deliver", "-q")

    ran = evtool(*arguments)

    assert ran.code == 2
    assert message in ran.err


def test_replay_plans_over_files_and_buses(evtool: Evtool, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text((tmp_path / "events.jsonl").read_text())

    ran = evtool("replay", "--from", "log", "--from", "good.jsonl", "-o", "json")

    assert ran.code == 1  # a line is not an event
    assert ran.json["handlers"] == {"h": 6}
    assert [event["id"] for event in ran.json["events"]] == ["0", "1", "2"] * 2
    assert evtool("replay", "--from", "file:log.jsonl", "--limit", "2", "-o", "json").json["summary"]["events"] == 2


def test_without_the_library_the_message_says_how_to_install_it(evtool: Evtool, tmp_path: Path) -> None:
    (tmp_path / "hidden" / "confluent_kafka").mkdir(parents=True)
    (tmp_path / "hidden" / "confluent_kafka" / "__init__.py").write_text("raise ImportError")

    ran = evtool("pull", "kafka://127.0.0.1:1/t", env={"PYTHONPATH": f"{tmp_path}/hidden:{Path.cwd()}"})

    assert ran.code == 2
    assert "pip install 'evtool-workbench[kafka]'" in ran.err


@pytest.mark.parametrize(
    ("buses", "message"),
    [
        ("{a: {url: x}}", "buses.a.url: should be a URL such as kafka://localhost:9092/orders"),
        ("{a: {}}", "buses.a.url is missing"),
        ('{a: {url: "file:x.jsonl", pasword: x}}', 'did you mean "password"?'),
        (
            '{a: {url: "file:x.jsonl", retry: 5s}}',
            "buses.a.retry: should be a list of pauses such as [5s, 1m], or none",
        ),
        ('{a: {url: "file:x.jsonl", retry: [5]}}', "buses.a.retry: a length of time is a number with a unit"),
        ("{a: kafka}", "buses.a: should be a mapping"),
    ],
)
def test_mistakes_in_buses_of_routes_yaml_are_found(buses: str, message: str, evtool: Evtool, tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(f"version: 1\nbuses: {buses}\n")

    ran = evtool("validate", "good.jsonl")

    assert ran.code == 2
    assert message in ran.err
