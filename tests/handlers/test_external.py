"""External handlers: evtool never calls them. It shows their deliveries and never stores them."""

import json

import pytest

EVENT = {"id": "e-1", "source": "shop", "detail-type": "order.created", "time": "2026-03-02T14:05:31Z", "detail": {}}
ARN = "arn:aws:sqs:eu-west-1:123456789012:bills"
ROUTES = f"""version: 1
handlers:
  say: {{command: [sh, -c, 'echo {{\\"DetailType\\":\\"said\\",\\"Detail\\":{{}}}} > $EVTOOL_EMIT']}}
  bills: {{external: "{ARN}"}}
routes:
  created: {{pattern: {{source: [shop]}}, to: [bills, say]}}
  said: {{pattern: {{detail-type: [said]}}, to: [bills]}}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    return tmp_path


def deliveries_of(ran):
    return [
        [(delivery["route"], delivery["handler"], delivery["state"]) for delivery in event["deliveries"]]
        for event in ran.json["events"]
    ]


def test_publish_shows_external_deliveries(evtool, project):
    """`publish` shows them, also those of emitted events. The exit code is 0, and the store has none."""
    ran = evtool("publish", "event.json", "-o", "json", cwd=project)

    assert ran.code == 0
    assert deliveries_of(ran) == [
        [("created", "say", "done"), ("created", "bills", "external")],
        [("said", "bills", "external")],
    ]
    assert ran.json["summary"]["deliveries"] == 3
    assert ran.json["summary"]["external"] == 2
    stored = evtool("events", "e-1", "-o", "json", cwd=project).json
    assert [delivery["handler"] for delivery in stored["deliveries"]] == ["say"]
    assert evtool("deliver", cwd=project).out == "nothing is due\n"


def test_the_tree_counts_external_deliveries(evtool, project):
    ran = evtool("publish", "event.json", "--no-deliver", cwd=project)

    assert ran.out.splitlines()[1:] == [
        "├── say  ready  by created",
        "└── bills  external  by created",
        "1 event, 2 deliveries, 1 ready, 1 external",
    ]


def test_dry_run_shows_external_deliveries(evtool, project):
    ran = evtool("publish", "event.json", "--dry-run", "-o", "json", cwd=project)

    assert deliveries_of(ran) == [[("created", "bills", "external"), ("created", "say", "would fire")]]


def test_replay_plans_external_deliveries(evtool, project):
    """A plan contains them, --deliver skips them, and they are not a difference from the first run."""
    evtool("publish", "event.json", cwd=project)
    plan = evtool("replay", cwd=project)
    detailed = evtool("replay", "-v", cwd=project)
    delivered = evtool("replay", "--deliver", "-o", "json", cwd=project)

    assert plan.out.splitlines() == [
        "handler  fired  would fire",
        "bills        0           2",
        "say          1           1",
        "external, never called: bills",
        "1 event, 1 effect, a plan: nothing was called",
    ]
    assert "  bills  would fire  by created  external" in detailed.out.splitlines()
    assert delivered.code == 0
    assert [{fire["handler"]: fire["action"] for fire in event["fires"]} for event in delivered.json["events"]] == [
        {"bills": "skipped", "say": "done"},
        {"bills": "skipped"},
    ]
    assert delivered.json["handlers"] == {"say": 1}


def test_explain_shows_a_route_to_an_external_handler(evtool, project):
    ran = evtool("explain", "event.json", "--route", "created", cwd=project)

    assert ran.code == 0
    assert "created  matches" in ran.out


def test_stored_deliveries_of_another_kind_wait(evtool, project):
    """The handler was of another kind when they were created. They are neither lost nor failed."""
    file = project / "routes.yaml"
    file.write_text(ROUTES.replace(f'external: "{ARN}"', "command: [cat]"))
    evtool("publish", "event.json", "--no-deliver", cwd=project)
    file.write_text(ROUTES)
    ran = evtool("deliver", "-o", "json", cwd=project)

    assert ran.code == 0
    waiting = [entry for entry in ran.json["deliveries"] if entry["handler"] == "bills"]
    assert [(entry["state"], entry["attempts"], entry["error"]) for entry in waiting] == [
        ("waiting", 0, f"{ARN} is external, and is never called")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{external: ""}', "EV022 handlers.bills.external: should not be empty"),
        ("{external: 5}", "EV022 handlers.bills.external: should be a string"),
        (f'{{external: "{ARN}", on_replay: run}}', "EV022 handlers.bills.on_replay: should be 'skip'"),
    ],
)
def test_wrong_options_are_refused_at_their_location(evtool, project, options, message):
    (project / "routes.yaml").write_text(ROUTES.replace(f'{{external: "{ARN}"}}', options))
    ran = evtool("publish", "event.json", "--dry-run", cwd=project)

    assert ran.code == 2
    assert message in ran.err
