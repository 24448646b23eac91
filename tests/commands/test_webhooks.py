"""Payloads with their type and id inside, such as webhooks: the options, `intake` of routes.yaml, and repetition."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

ROUTES = """
version: 1
schemas: schemas
intake:
  stripe: {source: stripe.com, type-at: /type, id-at: /id}
  shopify: {source: shopify.com, id-at: /id}
handlers:
  note: {command: [sh, -c, 'cat >> got.jsonl']}
routes:
  all: {pattern: {source: [stripe.com, shopify.com]}, to: [note]}
"""
PAYLOAD = {"id": "evt_1", "type": "charge.succeeded", "data": {"amount": 5}}
OPTIONS = ("--type-at", "/type", "--id-at", "/id", "--source", "stripe.com")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a webhook, its schema and an intake for it."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "schemas").mkdir()
    schema = {"properties": {"data": {"properties": {"amount": {"type": "integer"}}}}}
    (tmp_path / "schemas/charge.succeeded.json").write_text(json.dumps(schema))
    (tmp_path / "hook.json").write_text(json.dumps(PAYLOAD))
    return tmp_path


@pytest.mark.parametrize("options", [OPTIONS, ("--intake", "stripe")], ids=["options", "intake"])
def test_a_repeated_webhook_is_the_same_event(evtool: Evtool, project: Path, options: tuple[str, ...]) -> None:
    """The same source and id with the same content is a duplicate, in any notation. Other content is a conflict."""
    first = evtool("publish", "hook.json", *options, "-o", "json").json["events"]
    again = evtool("publish", "hook.json", *options, "-o", "json").json["events"]
    (project / "hook.json").write_text(json.dumps(dict(reversed(PAYLOAD.items())), indent=2))
    respelled = evtool("publish", "hook.json", *options, "-o", "json").json["events"]
    (project / "hook.json").write_text(json.dumps({**PAYLOAD, "data": {"amount": 6}}))
    other = evtool("publish", "hook.json", *options, "-o", "json")

    assert [(e["id"], e["type"], e["source"]) for e in first] == [("evt_1", "charge.succeeded", "stripe.com")]
    assert [e["status"] for e in [*first, *again, *respelled]] == ["stored", "duplicate", "duplicate"]
    [finding] = other.json["findings"]
    assert (other.code, finding["code"], "--set id=" in finding["suggestion"]) == (1, "EV010", True)
    assert (finding["line"], finding["column"]) == (1, 8)


def test_findings_about_a_webhook_are_located_in_it(evtool: Evtool, project: Path) -> None:
    """One of the schema, and one for a type without a schema."""
    texts = [{**PAYLOAD, "data": {"amount": "5"}}, {**PAYLOAD, "type": "charge.failed"}]
    (project / "hooks.jsonl").write_text("".join(f"{json.dumps(text)}\n" for text in texts))
    ran = evtool("validate", "hooks.jsonl", "--intake", "stripe", "-o", "json")

    found = [(f["code"], f["line"], f["column"], f["event_id"]) for f in ran.json["findings"]]
    assert found == [
        ("EV104", 1, json.dumps(texts[0]).index('"5"') + 1, "evt_1"),
        ("EV101", 2, json.dumps(texts[1]).index('"charge.failed"') + 1, "evt_1"),
    ]


def test_an_intake_may_leave_the_type_to_an_option(evtool: Evtool, project: Path) -> None:
    """For a webhook that has its type in a header. Its id may be a number."""
    (project / "order.json").write_text('{"id": 820982911946154508}')
    options = ("--intake", "shopify", "--type", "orders/create", "--no-schema", "ignore")
    [event] = evtool("publish", "order.json", *options, "-o", "json").json["events"]

    assert (event["id"], event["type"]) == ("820982911946154508", "orders/create")
    refused = evtool("publish", "order.json", "--intake", "shopify")
    assert (refused.code, "--type-at POINTER" in refused.err) == (2, True)


def test_explain_and_replay_read_webhooks(evtool: Evtool, project: Path) -> None:
    """A replay compares a webhook with what fired when it was published. --type selects."""
    evtool("publish", "hook.json", "--intake", "stripe")
    explained = evtool("explain", "hook.json", "--intake", "stripe", "-o", "json")
    replayed = evtool("replay", "--from", "hook.json", *OPTIONS, "-o", "json").json["events"]
    selected = evtool("replay", "--from", "hook.json", "--intake", "stripe", "--type", "x", "-o", "json").json["events"]
    delivered = evtool("replay", "--from", "hook.json", "--intake", "stripe", "--deliver", "-o", "json")

    assert (explained.code, explained.json["event"]["id"]) == (0, "evt_1")
    assert [(e["id"], e["type"], e["fired"][0]["state"]) for e in replayed] == [("evt_1", "charge.succeeded", "done")]
    assert selected == []
    assert (delivered.code, delivered.json["handlers"]) == (0, {"note": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("publish", "hook.json", "--intake", "strip"), 'no intake of this name; did you mean "stripe"?'),
        (("publish", "hook.json", "--intake", "x"), "its intakes are stripe, shopify"),
        (
            ("validate", "hook.json", "--type-at", "type"),
            'it is a JSON Pointer such as /id; did you mean "/type"?',
        ),
        (("validate", "hook.json", "--type-at", "/a~2"), "--type-at /a~2: it is a JSON Pointer such as /id"),
        (("explain", "hook.json", "--id-at", "$.data.id"), 'did you mean "/data/id"?'),
        (("explain", "hook.json", "--id-at", "/id"), "give --type TYPE or --type-at POINTER"),
        (("publish", "hook.json", "--type", "t", "--type-at", "/type"), "give --type or --type-at, not both"),
        (("replay", "--intake", "stripe"), "give --from PATH"),
    ],
)
def test_contradicting_intake_options_are_usage_errors(
    evtool: Evtool, project: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, and one line with the solution."""
    ran = evtool(*arguments)

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_an_invalid_intake_is_a_finding_in_routes_yaml(evtool: Evtool, project: Path) -> None:
    """At its line, before any input is read."""
    (project / "routes.yaml").write_text("version: 1\nintake:\n  stripe: {source: s, type_at: /type}\n")
    ran = evtool("publish", "hook.json", "--intake", "stripe")

    assert ran.code == 2
    assert "routes.yaml:3:23: EV021 unknown key intake.stripe.type_at" in ran.err
    assert 'did you mean "type-at"?' in ran.err
