"""Event buses: which routes match an event of a bus, in every command that routes events."""

import json
from pathlib import Path
from typing import Any

import pytest

from evtool import Routes
from tests.conftest import Evtool

ROUTES = """
version: 1
handlers:
  emits:
    command:
      - sh
      - -c
      - |
        echo '{"DetailType": "b", "Detail": {}}' >> "$EVTOOL_EMIT"
        echo '{"DetailType": "b", "Detail": {}, "EventBusName": "arn:aws:events:::event-bus/audit"}' >>"$EVTOOL_EMIT"
  takes: {command: ["true"]}
routes:
  orders-a: {event-bus: orders, pattern: {detail-type: [a]}, to: [emits]}
  default-a: {event-bus: default, pattern: {detail-type: [a]}, to: [takes]}
  every-a: {pattern: {detail-type: [a]}, to: [takes]}
  orders-b: {event-bus: orders, pattern: {detail-type: [b]}, to: [takes]}
  audit-b: {event-bus: audit, pattern: {detail-type: [b]}, to: [takes]}
"""
ARN = "arn:aws:events:eu-west-1:123456789012:event-bus/"
ENVELOPE = '{"id": "1", "source": "s", "detail-type": "a", "detail": {}}'


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    """Routes of three buses and of every bus."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "envelope.json").write_text(ENVELOPE)


def entry(bus: Any) -> bytes:
    """A PutEvents request for a bus; `...` names none."""
    named = {} if bus is ... else {"EventBusName": bus}
    return json.dumps({"Entries": [{"Source": "s", "DetailType": "a", "Detail": "{}", **named}]}).encode()


def routes_of(events: list[Any], type: str, key: str) -> list[set[str]]:  # noqa: A002
    """Returns the routes that match each event of a type."""
    return [{taken["route"] for taken in event[key]} for event in events if event["type"] == type]


@pytest.mark.parametrize(
    ("bus", "name", "routes"),
    [
        (..., "default", {"default-a", "every-a"}),
        (None, "default", {"default-a", "every-a"}),
        ("", "default", {"default-a", "every-a"}),
        ("default", "default", {"default-a", "every-a"}),
        (f"{ARN}default", "default", {"default-a", "every-a"}),
        ("orders", "orders", {"orders-a", "every-a"}),
        (f"{ARN}orders", "orders", {"orders-a", "every-a"}),
        ("aws.partner/shop/orders", "aws.partner/shop/orders", {"every-a"}),
        (f"{ARN}aws.partner/shop/orders", "aws.partner/shop/orders", {"every-a"}),
    ],
)
def test_a_route_matches_only_events_of_its_bus(evtool: Evtool, bus: Any, name: str, routes: set[str]) -> None:
    """The bus of an event is stored, and shown in the list and for a single event."""
    planned = evtool("publish", "-", "--dry-run", "-o", "json", stdin=entry(bus)).json
    published = evtool("publish", "-", "-o", "json", stdin=entry(bus)).json
    [event, *_] = evtool("events", "-o", "json").json["events"]

    assert routes_of(planned["events"], "a", "deliveries") == [routes]
    assert routes_of(published["events"], "a", "deliveries") == [routes]
    assert event["bus"] == evtool("events", event["id"], "-o", "json").json["bus"] == name
    assert (f"bus  {name}\n" in evtool("events", event["id"]).out) == (name != "default")


def test_an_emitted_event_has_the_bus_of_its_cause(evtool: Evtool) -> None:
    """Unless its entry names another bus. A replay keeps the buses."""
    published = evtool("publish", "-", "-o", "json", stdin=entry("orders")).json
    plan = evtool("replay", "-o", "json").json
    replayed = evtool("replay", "--deliver", "-o", "json").json
    events = evtool("events", "--type", "b", "-o", "json").json["events"]

    assert routes_of(published["events"], "b", "deliveries") == [{"orders-b"}, {"audit-b"}]
    assert plan["handlers"] == replayed["handlers"] == {"emits": 1, "takes": 3}
    assert routes_of(replayed["events"], "b", "fires") == [{"orders-b"}, {"audit-b"}]
    assert [event["bus"] for event in events] == ["orders", "audit"] * 2


def test_an_option_names_the_bus_of_events_that_name_none(evtool: Evtool) -> None:
    """An entry keeps its own bus; a stored event keeps the bus with which it was published."""
    option = ("--event-bus", "orders", "-o", "json")
    plan = evtool("replay", "--from", "envelope.json", *option).json
    published = evtool("publish", "envelope.json", *option).json
    other = evtool("publish", "-", *option, stdin=entry("audit")).json
    changed = evtool("publish", "envelope.json", "--set", "id=two", *option).json

    assert routes_of(plan["events"], "a", "fires") == [{"orders-a", "every-a"}]
    assert routes_of(published["events"], "a", "deliveries") == [{"orders-a", "every-a"}]
    assert routes_of(other["events"], "a", "deliveries") == [{"every-a"}]
    assert routes_of(changed["events"], "a", "deliveries") == [{"orders-a", "every-a"}]
    assert evtool("publish", "envelope.json", "-o", "json").json["events"][0]["status"] == "duplicate"
    assert evtool("replay", *option).code == 2


def test_explain_shows_the_bus_as_a_condition(evtool: Evtool) -> None:
    """With the bus of the event, and the location of the key in routes.yaml."""
    evtool("publish", "-", "--no-deliver", stdin=entry("audit"))
    [stored] = evtool("events", "-o", "json").json["events"]
    for options, bus in ((("envelope.json",), "default"), ((stored["id"],), "audit")):
        ran = evtool("explain", *options, "--route", "orders-a", "-o", "json")
        [route] = ran.json["routes"]
        [condition] = [condition for condition in route["conditions"] if not condition["ok"]]

        assert (ran.code, route["matches"], route["change"]) == (1, False, None)
        assert (condition["path"], condition["expected"], condition["actual"]) == ("event-bus", "orders", [bus])
        assert (condition["line"], condition["column"]) == (13, 25)
        assert condition["reason"] == f'the event is on the bus "{bus}"'
    ran = evtool("explain", "envelope.json", "--event-bus", "orders", "--route", "orders-a")
    assert (ran.code, 'ok    event-bus    "orders"' in ran.out) == (0, True)
    told = evtool("publish", "envelope.json", "--dry-run", "-vv").out
    assert 'FAIL  event-bus  the event is on the bus "default"  (wanted: "orders")' in told


def test_a_bus_that_is_not_a_string_is_a_finding(evtool: Evtool) -> None:
    """It has its location. A name that EventBridge does not allow is an error in routes.yaml."""
    ran = evtool("publish", "-", stdin=entry(7))

    assert (ran.code, "<stdin>:1:" in ran.err) == (1, True)
    assert "EV108 the envelope's EventBusName must be a string, not a number" in ran.err


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('event-bus: "a b"', "routes.orders-a.event-bus: should match"),
        ("event-bus: null", "routes.orders-a.event-bus: should be a string"),
        ("event-bus: 7", "put it in quotes"),
        ("event_bus: orders", 'did you mean "event-bus"?'),
    ],
)
def test_an_invalid_bus_of_a_route_is_an_error_with_its_location(
    evtool: Evtool, tmp_path: Path, key: str, said: str
) -> None:
    """As everything in routes.yaml, with its place."""
    (tmp_path / "routes.yaml").write_text(ROUTES.replace("event-bus: orders", key, 1))
    ran = evtool("publish", "envelope.json")

    assert (ran.code, said in ran.err, "routes.yaml:13:" in ran.err) == (2, True, True)


def test_routes_match_events_of_the_default_bus(tmp_path: Path) -> None:
    """In Python an event has no bus, unless the caller passes one."""
    routes = Routes.load(tmp_path / "routes.yaml")

    assert [route.name for route in routes.match(ENVELOPE)] == ["default-a", "every-a"]
    assert [route.name for route in routes.match(json.loads(ENVELOPE), bus="orders")] == ["orders-a", "every-a"]
