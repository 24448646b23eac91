"""Unknown values in routes: undecided is not false, and no command delivers by an undecided route."""

import json
import re

import pytest

from evtool.cli.session import Session
from evtool.commands.deliver import deliver
from evtool.commands.explain import explain
from evtool.commands.publish import publish
from evtool.commands.replay import replay
from evtool.commands.validate import validate
from evtool.patterns.unknown import Unknown
from evtool.routes import project as project_file

EVENT = {
    "id": "e-1",
    "source": "shop",
    "detail-type": "order.created",
    "time": "2026-03-02T14:05:31Z",
    "detail": {"total": 5},
}

# a text in angle brackets is unknown
ROUTES = """version: 1
handlers:
  say: {command: [sh, -c, 'echo {\\"DetailType\\":\\"said\\",\\"Detail\\":{}} > $EVTOOL_EMIT']}
  bills: {external: "<!GetAtt Bills.Arn>"}
routes:
  certain: {pattern: {source: [shop]}, to: [say, bills], event-bus: <!Ref Bus>}
  open: {pattern: {source: [shop], detail: {total: [{numeric: [">", <!Ref Limit>]}]}}, to: [say]}
  whole: {pattern: <!Ref Pattern>, to: [say]}
  other: {pattern: {source: [web], detail: <!Ref Detail>}, to: [say]}
  emitted: {pattern: {detail-type: [said, <!Ref Type>], source: [<!Ref Sender>]}, to: [say], state: <!Ref State>}
"""


def open_values(value):
    """Replaces each string in angle brackets by an Unknown."""
    if isinstance(value, dict):
        return {key: open_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [open_values(item) for item in value]
    return Unknown(value[1:-1]) if isinstance(value, str) and re.fullmatch("<.*>", value) else value


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Runs a command on a project with unknown values. Returns the exit code, the JSON or text, and the notes."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    monkeypatch.chdir(tmp_path)
    read_project = project_file.read_project

    def read_open_project(name=None, **options):
        project = read_project(name, **options)
        document = project.document
        return project._replace(document=document._replace(value=open_values(document.value)), form="cloudformation")

    monkeypatch.setattr(project_file, "read_project", read_open_project)

    def run_command(command, *args, output="json", verbose=0, **options):
        code = command(Session(output=(output,), color="never", verbose=verbose), *args, **options)
        out, err = capfd.readouterr()
        return code, json.loads(out) if output == "json" else out, err

    return run_command


def states(record):
    return {(delivery["route"], delivery["handler"]): delivery["state"] for delivery in record["deliveries"]}


def test_publish_delivers_only_by_certain_routes(run):
    """Each undecided route is noted once."""
    code, out, err = run(publish, ["event.json"])

    event, said = out["events"]
    assert code == 0
    assert states(event) == {("certain", "say"): "done", ("certain", "bills"): "external"}
    assert states(said) == {}
    notes = [line for line in err.splitlines() if "undecided" in line]
    assert notes == [
        "route open is undecided, and delivers nothing: !Ref Limit is not known before deployment",
        "route whole is undecided, and delivers nothing: !Ref Pattern is not known before deployment",
        "route emitted is undecided, and delivers nothing: !Ref Type, !Ref Sender are not known before deployment",
    ]
    assert {key: value for key, value in out["summary"].items() if value} == {
        "events": 2,
        "deliveries": 2,
        "done": 1,
        "external": 1,
    }


def test_a_dry_run_shows_only_certain_routes(run):
    """It notes the undecided ones, too."""
    code, out, err = run(publish, ["event.json"], dry_run=True)

    assert code == 0
    assert states(out["events"][0]) == {("certain", "say"): "would fire", ("certain", "bills"): "external"}
    assert "route open is undecided" in err


def test_a_replay_plans_only_certain_routes(run):
    """An external handler would fire; --deliver does not call it."""
    run(publish, ["event.json"], no_deliver=True)
    code, plan, err = run(replay)
    _, delivered, _ = run(replay, deliver=True)

    assert code == 0
    assert plan["events"][0]["fires"] == [
        {"route": "certain", "handler": "say", "action": "would fire"},
        {"route": "certain", "handler": "bills", "action": "would fire", "on_replay": "skip", "external": True},
    ]
    assert err.count("route open is undecided") == 1
    assert {fire["handler"]: fire["action"] for fire in delivered["events"][0]["fires"]} == {
        "say": "done",
        "bills": "skipped",
    }


def test_deliver_notes_undecided_routes_of_emitted_events(run):
    """They are delivered by certain routes only."""
    run(publish, ["event.json"], no_deliver=True)
    code, out, err = run(deliver)

    assert code == 0
    assert [delivery["state"] for delivery in out["deliveries"]] == ["done"]
    assert "route emitted is undecided" in err


def test_explain_shows_undecided_routes(run):
    """They come after the matching routes and before the others, with null where unknown values decide."""
    code, out, _ = run(explain, "event.json")

    assert code == 0
    assert [(route["route"], route["matches"]) for route in out["routes"]] == [
        ("certain", True),
        ("open", None),
        ("whole", None),
        ("emitted", None),
        ("other", False),
    ]
    total = next(c for route in out["routes"] for c in route["conditions"] if c["path"] == "detail.total")
    assert total["ok"] is None
    assert total["expected"] == [">", None]
    assert total["actual"] == [5]
    assert total["reason"] == "undecided: !Ref Limit is not known before deployment"
    assert (total["line"], total["column"]) == (7, 52)


def test_explain_marks_an_undecided_condition_in_text(run):
    """It is not shown as a failure."""
    code, out, _ = run(explain, "event.json", output="text", route="open")

    assert code == 1  # nothing matches for certain
    assert out.splitlines()[2:] == [
        "open  is undecided: 1 of 2 conditions depends on unknown values  routes.yaml:7:3",
        '  ok    source        "shop"',
        "  ?     detail.total  5 is undecided: !Ref Limit is not known before deployment"
        '  (wanted: numeric [">", !Ref Limit])  routes.yaml:7:52',
    ]


def test_explain_counts_undecided_routes(run):
    """The last line counts matching and undecided routes."""
    _, out, _ = run(explain, "event.json", output="text")

    assert out.splitlines()[-1].startswith("1 of 5 routes matches, 3 undecided")


def test_an_unknown_state_counts_as_enabled_with_a_note(run):
    """No other unknown value is a finding."""
    _, out, err = run(explain, "event.json", route="emitted")

    assert out["routes"][0]["enabled"] is True
    (note,) = [line for line in err.splitlines() if "EV0" in line]
    assert note.startswith("routes.yaml:10:101: EV024 note: route emitted: state depends on !Ref State, which is not")
    assert "the route counts as enabled" in err


def test_a_routes_yaml_with_unknown_values_is_valid(run):
    """A routes.yaml with unknown values is valid: there is only the note of the state."""
    code, _, err = run(validate, ["event.json"], no_schema="ignore")

    assert code == 0
    assert [line.split(" ")[1] for line in err.splitlines() if "EV" in line] == ["EV024"]
