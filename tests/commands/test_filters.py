"""Options that select events and deliveries: an unknown name is reported with the existing names."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

ROUTES = """
version: 1
handlers:
  warehouse: {command: [sh, -c, exit 1]}
  new-handler: {command: ["true"]}
routes:
  fulfil-order: {pattern: {source: [shop]}, to: [warehouse], retry: {max_attempts: 1}}
  new-route: {pattern: {source: [none]}, to: [new-handler]}
"""


@pytest.fixture(autouse=True)
def project(evtool: Evtool, tmp_path: Path) -> None:
    """A store with a dead letter, whose route and handler were renamed in routes.yaml afterwards."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    event = {"id": "one", "source": "shop", "detail-type": "order.created", "detail": {}}
    assert evtool("publish", "-", stdin=json.dumps(event).encode()).code == 1
    (tmp_path / "routes.yaml").write_text(
        ROUTES.replace("fulfil-order", "renamed-route").replace("warehouse", "renamed-handler")
    )


COMMANDS = [["events"], ["events", "--summary"], ["dlq", "list"], ["dlq", "show"], ["dlq", "redrive"], ["dlq", "purge"]]
IDS = " ".join


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fulfil-ordr", 'did you mean "fulfil-order"?'),
        ("new-rout", 'did you mean "new-route"?'),
        ("xyz", "the routes are fulfil-order, new-route, renamed-route"),
    ],
)
@pytest.mark.parametrize("command", [*COMMANDS, ["events", "one"], ["dlq", "purge", "--dry-run"]], ids=IDS)
def test_an_unknown_route_is_refused(evtool: Evtool, command: list[str], name: str, hint: str) -> None:
    """Exit code 2 with the routes of routes.yaml and of the store; nothing is deleted or redriven."""
    ran = evtool(*command, "--route", name)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"evtool: --route {name}: there is no such route in routes.yaml or in the store; {hint}\n"
    assert evtool("dlq", "list", "-o", "json").json["summary"]["deliveries"] == 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] == "dlq"], ids=IDS)
def test_an_unknown_handler_is_refused(evtool: Evtool, command: list[str]) -> None:
    """Exit code 2 with the most similar name; nothing is deleted or redriven."""
    ran = evtool(*command, "--handler", "warehose")
    assert (ran.code, ran.out) == (2, "")
    assert 'in routes.yaml or in the store; did you mean "warehouse"?' in ran.err
    assert evtool("dlq", "list", "-o", "json").json["summary"]["deliveries"] == 1


def test_names_of_the_project_and_of_the_store_are_accepted(evtool: Evtool, tmp_path: Path) -> None:
    """A route without a delivery, a removed one, and those of a store without a routes.yaml."""
    for route in ("new-route", "renamed-route", "fulfil-order"):
        assert evtool("events", "--route", route).code == 0
        assert evtool("events", "--summary", "--route", route).code == 0
    for handler in ("new-handler", "warehouse"):
        assert evtool("dlq", "list", "--handler", handler).code == 0
    for content in ("a: [", None):
        (tmp_path / "routes.yaml").write_text(content) if content else (tmp_path / "routes.yaml").unlink()
        words = ("events", "--store", ".evtool/store.db", "--route")
        assert evtool(*words, "fulfil-order").code == 0
        ran = evtool(*words, "new-route")
        assert (ran.code, "the routes are fulfil-order\n" in ran.err) == (2, True)


def test_replay_and_explain_accept_only_current_routes(evtool: Evtool) -> None:
    """They match with the current routes, not with those of the store."""
    for words in (["replay"], ["replay", "--deliver"], ["explain", "one"]):
        ran = evtool(*words, "--route", "renamed-rout")
        assert (ran.code, ran.out) == (2, "")
        assert 'there is no route renamed-rout; did you mean "renamed-route"?' in ran.err


@pytest.mark.parametrize(
    ("command", "effect"),
    [
        (["events"], "none is selected"),
        (["events", "--summary"], "none is selected"),
        (["replay"], "none is selected"),
        (["dlq", "list"], "no dead letter is selected"),
        (["dlq", "show"], "no dead letter is selected"),
        (["dlq", "redrive"], "nothing is redriven"),
        (["dlq", "purge"], "nothing is deleted"),
        (["dlq", "purge", "--dry-run"], "nothing is deleted"),
    ],
    ids=str,
)
def test_an_unknown_type_is_noted(evtool: Evtool, command: list[str], effect: str) -> None:
    """Exit code 0 and a note with a similar type; nothing is deleted or redriven. -q hides the note."""
    ran = evtool(*command, "--type", "order.craeted")
    note = f'--type order.craeted: no event in the store has this type, so {effect}; did you mean "order.created"?\n'
    assert (ran.code, ran.err) == (0, note)
    assert evtool(*command, "--type", "order.craeted", "-q").err == ""
    assert evtool(*command, "--type", "xyz").err.endswith("; the types are order.created\n")
    assert evtool("dlq", "list", "-o", "json").json["summary"]["deliveries"] == 1
    assert evtool("dlq", "list", "--type", "order.created").err == ""


def test_an_unknown_source_is_noted(evtool: Evtool) -> None:
    """As an unknown type is."""
    for command in ("events", "replay"):
        ran = evtool(command, "--source", "shopp")
        note = 'no event in the store has this source, so none is selected; did you mean "shop"?'
        assert (ran.code, note in ran.err) == (0, True)


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        ("2026-11-24", "2026-11-23", 2),
        ("2026-11-23T10:00Z", "2026-11-23T10:00+01:00", 2),
        ("1h", "2h", 2),
        ("2026-11-23", "2026-11-23", 2),
        ("2h", "1h", 0),
        ("2026-11-23", "2026-11-24", 0),
    ],
)
def test_a_period_that_ends_before_it_begins_is_refused(evtool: Evtool, since: str, until: str, code: int) -> None:
    """Exit code 2, since no event can be in it."""
    for command in (["events"], ["events", "--summary"], ["replay"]):
        ran = evtool(*command, "--since", since, "--until", until)
        assert ran.code == code
        if code:
            assert ran.err == f"evtool: --since {since} is not before --until {until}: no event can lie between them\n"
