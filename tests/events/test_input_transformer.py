"""The input of a route: what a handler receives in place of the event, as on EventBridge."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evtool.errors import ConfigError
from evtool.events.envelopes import parse_event
from evtool.events.input_transformer import Input, compile_input, transform_event
from evtool.routes.routes import Routes
from tests.conftest import Evtool

RECEIVED = 1_795_687_200_123  # 2026-11-26T10:00:00.123Z
EVENT = rb"""{
  "version": "0", "id": "1", "source": "shop", "detail-type": "order.created", "time": "2026-11-26T09:59:58Z",
  "account": "123456789012", "region": "eu-west-1", "resources": ["first", "second"],
  "detail": {
    "customer": "Jo\u00eb", "total": 1.50, "big": 12345678901234567890.10, "paid": true, "note": null, "said": "\"hi\"",
    "line": "one\ntwo", "payload": {"acc_id": "0a7 87", "tags": [ "a", 2 ]}, "levels": ["HIGH"], "a/b~c d": 1e3,
    "deep": [[1, {"x": "y"}]], "0": "zero", "letter": {"s": "a \"b\" \\ c\n"}
  }
}"""
PATHS = {
    name: f"$.detail.{name}" for name in ("customer", "total", "paid", "note", "said", "line", "payload", "letter")
}
PATHS |= {"list": "$.detail.levels", "first": "$.resources[0]", "gone": "$.detail.gone", "big": "$.detail.big"}


def transform(given: dict[str, Any], event: bytes = EVENT) -> str:
    """Returns the result of an input for an event."""
    transform = compile_input(Input.model_validate(given))
    assert transform
    return transform_event(transform, parse_event(event), route="confirm", received=RECEIVED).decode()


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("$.detail.customer", r'"Jo\u00eb"'),
        ("$.detail.total", "1.50"),
        ("$.detail.big", "12345678901234567890.10"),
        ("$.detail['a/b~c d']", "1e3"),
        ("$['detail'].note", "null"),
        ("$.detail-type", '"order.created"'),
        ("$.resources[1]", '"second"'),
        ("$.detail.deep[0][1].x", '"y"'),
        ("$.detail['0']", '"zero"'),
        ("$.detail.payload", '{"acc_id": "0a7 87", "tags": [ "a", 2 ]}'),
        ("$", EVENT.decode()),
    ],
)
def test_a_path_sends_the_text_of_its_value(path: str, part: str) -> None:
    """Also of a scalar, with the number forms and escapes of the event."""
    assert transform({"path": path}) == part


MISSING = ["$.detail.gone", "$.resources[2]", "$.detail[0]", "$.resources.0", "$.id.x", "$.id[0]"]


@pytest.mark.parametrize("path", MISSING)
def test_a_missing_path_is_an_error(path: str) -> None:
    """The message names the path."""
    with pytest.raises(ValueError, match="the event has no ") as caught:
        transform({"path": path})

    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        # a text: values are printed into it
        ('"Order by <customer> for <total>"', "Order by Joë for 1.50"),
        ('"<big>, <paid>, <note>, <first>"', "12345678901234567890.10, true, null, first"),
        ('"info <gone>."', "info ."),
        ('"of <payload>"', "of {acc_id:0a7 87,tags:[a,2]}"),
        ('"is <list>"', "is [HIGH]"),
        ('"<letter>"', "{s:a b \\ c\n}"),
        (r'"say \"<customer>\"\n"', 'say "Joë"\n'),
        ('"{[/ of <customer>"', "{[/ of Joë"),
        ('"no hole < 3"', "no hole < 3"),
        ('"one <customer>"\n\n  "two <total>"\n', "one Joë\ntwo 1.50"),
        ('"by <aws.events.rule-name> <aws.events.event.ingestion-time>"', "by confirm 2026-11-26T10:00:00Z"),
        ('"<aws.events.rule-arn>"', "arn:aws:events:us-east-1:000000000000:rule/confirm"),
        # JSON, outside quotes: values are JSON
        ('{"who": <customer>, "sum": <total>, "paid": <paid>}', {"who": "Joë", "sum": 1.5, "paid": True}),
        ('{"said": <said>, "line": <line>}', {"said": '"hi"', "line": "one\ntwo"}),
        ('{"body": <payload>, "levels": <list>}', {"body": {"acc_id": "0a7 87", "tags": ["a", 2]}, "levels": ["HIGH"]}),
        ('{"note": <note>, "gone": <gone>}', {"note": None, "gone": ""}),
        ('{"in": [<first>, "fixed", {"deep": <total>}]}', {"in": ["first", "fixed", {"deep": 1.5}]}),
        ('{"by": <aws.events.rule-name>}', {"by": "confirm"}),
        ("<payload>", {"acc_id": "0a7 87", "tags": ["a", 2]}),
        ("[]", []),
        # JSON, inside quotes
        ('{"path": "users/<customer>/<total>", "x": "<paid><gone>"}', {"path": "users/Joë/1.50", "x": "true"}),
    ],
)
def test_a_template_is_filled_as_on_eventbridge(template: str, payload: object) -> None:
    """Text and JSON templates, all kinds of values, and missing values."""
    assert json.loads(transform({"paths": PATHS, "template": template})) == payload


def test_numbers_keep_their_form_in_a_template() -> None:
    """Also with more digits than a double holds, and with trailing zeros."""
    assert transform({"paths": PATHS, "template": '{"big": <big>}'}) == '{"big": 12345678901234567890.10}'


def test_a_template_may_contain_the_event_with_or_without_detail() -> None:
    """Without its detail, the type has AWS's other name. Such a template needs no paths."""
    both = json.loads(transform({"template": '{"head": <aws.events.event>, "all": <aws.events.event.json>}'}))
    head = json.loads(EVENT)
    del head["detail"]
    head["detailType"] = head.pop("detail-type")

    assert both == {"head": head, "all": json.loads(EVENT)}


def test_a_template_may_contain_a_cloudevent_without_data() -> None:
    event = b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": 5}'

    result = transform({"template": "<aws.events.event>"}, event)
    assert json.loads(result) == json.loads(event.replace(b', "data": 5', b""))
    assert transform({"path": "$.data"}, event) == "5"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ('{"x": "<payload>"}', "<payload> is an object, but it is in quotes"),
        ('{"x": "all <list>"}', "<list> is an array, but it is in quotes"),
        ('{"x": "<said>"}', "not JSON"),
        ('{"x": "<line>"}', "not JSON"),
        ('"he says <said>"', "not JSON"),
        ('"fine"\n"<line>"', "not JSON"),
    ],
)
def test_a_result_that_eventbridge_does_not_deliver_is_an_error(template: str, reason: str) -> None:
    """An object or array in quotes, and a string that breaks the quotes around it."""
    with pytest.raises(ValueError, match=reason):
        transform({"paths": PATHS, "template": template})


def said(tmp_path: Path, given: object) -> list[str]:
    """Returns the output for a routes.yaml with this input."""
    file = tmp_path / "routes.yaml"
    routes = {"r": {"pattern": {"source": ["s"]}, "to": ["h"], "input": given}}
    file.write_text(json.dumps({"version": 1, "handlers": {"h": {"command": ["true"]}}, "routes": routes}))
    try:
        Routes.load(file)
    except ConfigError as error:
        return [f"{finding.code} {finding.message}" for finding in error.findings]
    return []


@pytest.mark.parametrize(
    ("limit", "given", "message"),
    [
        (256, lambda n: {"path": "$." + "a" * (n - 2)}, "path: should have at most 256 characters"),
        (
            100,
            lambda n: {"paths": {f"n{i}": "$" for i in range(n)}, "template": "[]"},
            "paths: should have at most 100",
        ),
        (8192, lambda n: {"template": '"' + "x" * (n - 2) + '"'}, "template: should have at most 8192 characters"),
        (256, lambda n: {"paths": {"n" * n: "$"}, "template": "[]"}, "at most 256"),
    ],
)
def test_limits_are_those_of_eventbridge(
    tmp_path: Path, limit: int, given: Callable[[int], dict[str, Any]], message: str
) -> None:
    """The allowed length is accepted, one more is refused. Other cases are in tests/cases/routes."""
    assert said(tmp_path, given(limit)) == []
    [told] = said(tmp_path, given(limit + 1))
    assert told.startswith(("EV022 routes.r.input.path", "EV022 routes.r.input.template"))
    assert message in told


ROUTES = r"""
version: 1
handlers:
  told: {python: "work.py:tell"}
  kept: {command: [sh, -c, "cat > kept.json"]}
routes:
  part: {pattern: {source: [shop]}, to: [told], input: {path: $.detail}}
  text:
    pattern: {source: [shop]}
    to: [told, kept]
    input: {paths: {name: $.detail.customer, total: $.detail.total}, template: '"Order by <name> for <total>"'}
  quoted:
    pattern: {source: [shop]}
    to: [told]
    input: {paths: {payload: $.detail}, template: '{"payload": "<payload>"}'}
"""


def test_handlers_receive_the_result(evtool: Evtool, tmp_path: Path) -> None:
    """A Python handler receives the value, a command the JSON text. An error makes a dead letter with a reason."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "work.py").write_text("def tell(event, context):\n    print(repr(event))\n")
    event = {"id": "1", "source": "shop", "detail-type": "t", "detail": {"customer": "Joe", "total": 5}}
    ran = evtool("publish", "-", "-o", "json", stdin=json.dumps(event).encode())

    assert ran.code == 1, ran.err
    told = evtool("events", "1", "-o", "json").json["deliveries"]
    outputs = {(d["route"], d["handler"]): d["history"][-1]["output"] for d in told if d["state"] == "done"}
    assert outputs[("part", "told")] == "{'customer': 'Joe', 'total': 5}\n"
    assert outputs[("text", "told")] == "'Order by Joe for 5'\n"
    assert (tmp_path / "kept.json").read_text() == '"Order by Joe for 5"'
    [dead] = [d for d in told if d["state"] == "dead"]
    assert (dead["route"], dead["attempts"], dead["condition"]) == ("quoted", 1, "NotRetriable")
    assert dead["error"].startswith("the input cannot be built: <payload> is an object, but it is in quotes")


def test_a_replayed_event_is_transformed(evtool: Evtool, tmp_path: Path) -> None:
    """With the name of the replay in the event."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {kept: {command: [sh, -c, 'cat > kept.json']}}\nroutes:\n  all:\n"
        "    pattern: {source: [shop]}\n    to: [kept]\n"
        '    input: {paths: {name: $.replay-name}, template: \'{"name": <name>, "at": <aws.events.rule-name>}\'}\n'
    )
    event = b'{"id": "1", "source": "shop", "detail-type": "t", "detail": {}}'

    assert evtool("publish", "-", stdin=event).code == 0
    assert json.loads((tmp_path / "kept.json").read_text()) == {"name": "", "at": "all"}
    assert evtool("replay", "1", "--deliver", "--name", "again").code == 0
    assert json.loads((tmp_path / "kept.json").read_text()) == {"name": "again", "at": "all"}
