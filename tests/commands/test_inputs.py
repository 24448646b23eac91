"""Input of all commands that read events: an input without events is an error; forms and records."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

EVENT = {"id": "1", "source": "s", "detail-type": "t", "detail": {}}
ROUTES = """
version: 1
handlers: {count: {command: ["true"]}}
routes:
  all: {pattern: {detail-type: [t]}, to: [count]}
"""
READING = {
    "validate": ("validate", "--no-schema", "ignore"),
    "publish": ("publish",),
    "dry run": ("publish", "--dry-run"),
    "replay": ("replay", "--from"),
    "explain": ("explain",),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one route, and inputs without an event."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "notes.txt").write_text("no events")
    (tmp_path / "files").mkdir()
    for name, text in {
        "empty.jsonl": "",
        "blank.ndjson": "\n \n",
        "array.json": "[]\n",
        "request.json": '{"Entries": []}',
        "files/a.jsonl": "\n",
        "files/b.json": "[]",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("folder", "folder has no event file (searched for *.json, *.jsonl, *.ndjson, also with .gz,"),
        ("files", "the 2 event files in files have none"),
        ("./empty.jsonl", "./empty.jsonl has none"),
        ("./blank.ndjson", "./blank.ndjson has none"),
        ("./array.json", "./array.json has none"),
        ("./request.json", "./request.json has none"),
        ("-", "standard input has none"),
    ],
)
def test_an_input_without_an_event_is_refused(
    evtool: Evtool, project: Path, command: str, path: str, said: str
) -> None:
    """Exit code 2, since nothing was checked. The message says what was searched, and where."""
    ran = evtool(*READING[command], path)

    assert (ran.code, ran.out) == (2, "")
    assert f"no event was found: {said}" in ran.err


@pytest.mark.parametrize("command", ["validate", "publish", "dry run", "replay"])
@pytest.mark.parametrize("path", ["folder", "./empty.jsonl", "./request.json", "-"])
def test_allow_empty_accepts_an_input_without_events(evtool: Evtool, project: Path, command: str, path: str) -> None:
    """The summary counts 0 events."""
    ran = evtool(*READING[command], path, "--allow-empty", "-o", "json")

    assert (ran.code, ran.json["summary"]["events"]) == (0, 0)


def test_an_empty_file_next_to_others_is_accepted_and_counted(evtool: Evtool, project: Path) -> None:
    """The summary counts it as a file."""
    (project / "one.json").write_text(json.dumps(EVENT))
    ran = evtool("validate", "one.json", "empty.jsonl", "files", "folder", "--no-schema", "ignore", "-o", "json")

    assert (ran.code, ran.json["summary"]) == (0, {"events": 1, "valid": 1, "invalid": 0, "files": 4})


def test_an_empty_list_of_samples_is_refused(evtool: Evtool, project: Path) -> None:
    """`samples: []` names nothing to check."""
    (project / "routes.yaml").write_text(ROUTES + "samples: []\nschemas: files\n")

    ran = evtool("validate")

    assert (ran.code, "samples" in ran.err) == (2, True)


def test_a_replay_of_files_reports_unreadable_and_invalid_input(evtool: Evtool, project: Path) -> None:
    """Exit code 2 for a file that cannot be read, 1 for an invalid event. The others are replayed."""
    (project / "bad.jsonl").write_text(f"{json.dumps(EVENT)}\n{{bad\n")

    assert [evtool("replay", "--from", name).code for name in ("missing.json", "bad.jsonl")] == [2, 1]
    assert evtool("replay", "--from", "bad.jsonl", "-o", "json").json["summary"] == {
        "events": 1,
        "effects": 0,
        "fires": 1,
    }


@pytest.mark.parametrize("command", READING)
def test_json_documents_in_sequence_and_in_records_are_read(evtool: Evtool, project: Path, command: str) -> None:
    """As `jq .` and a queue write them."""
    events = [{**EVENT, "id": str(number)} for number in range(3)]
    pretty = "\n".join(json.dumps(event, indent=2) for event in events)
    bodies = [json.dumps({**event, "id": f"w{event['id']}"}) for event in events]
    wrapped = json.dumps({"Records": [{"body": body} for body in bodies]})
    for text, words in ((pretty, ()), (wrapped, ("--unwrap",))):
        ran = evtool(*READING[command], "-", *words, "-o", "json", stdin=text.encode())

        assert (ran.code, ran.json["summary"]["events"]) == (0, 3)


def test_several_events_are_explained_one_after_the_other(evtool: Evtool, project: Path) -> None:
    """Exit code 1 if no route matches any of them, or one is not valid."""
    other = {**EVENT, "id": "2", "detail-type": "u"}
    (project / "both.jsonl").write_text(f"{json.dumps(EVENT)}\n{json.dumps(other)}\n")
    ran = evtool("explain", "both.jsonl", "-o", "json")

    assert ran.code == 0
    assert [(entry["event"]["id"], entry["routes"][0]["matches"]) for entry in ran.json["events"]] == [
        ("1", True),
        ("2", False),
    ]
    assert evtool("explain", "both.jsonl").out.splitlines()[-1] == "1 of 2 events match a route"
    assert evtool("explain", "both.jsonl", "--pattern", '{"source": ["x"]}').code == 1
    with (project / "both.jsonl").open("a") as file:
        file.write("{bad\n")
    ran = evtool("explain", "both.jsonl", "-o", "json")
    assert (ran.code, ran.json["summary"], ran.json["events"][2]["event"]) == (1, {"events": 3, "matched": 1}, None)


def test_envelopes_are_validated_without_a_project(evtool: Evtool, tmp_path: Path) -> None:
    """--no-schema ignore needs neither routes.yaml nor schemas."""
    ran = evtool("validate", "-", "--no-schema", "ignore", "-o", "json", stdin=json.dumps(EVENT).encode())

    assert (ran.code, ran.json["summary"]["valid"]) == (0, 1)
