"""`--set` and `--set-new`: which paths are accepted, their notations, and the messages for the others."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from evtool.errors import UsageError
from evtool.events.envelopes import parse_event
from evtool.events.event import Event, EventDefaults
from evtool.events.overrides import apply_overrides

DEFAULTS = EventDefaults(lambda: "new", lambda: "2026-11-23T10:00:00Z")
DETAIL = {
    "orderTotal": 5,
    "a.b": 1,
    "x/y": 2,
    "street1": "",
    "items": [{"price": 1, "itemId": 7}],
    "shipTo": {"name": "Joe"},
}
BRIDGE = {"id": "1", "source": "s", "detail-type": "t", "time": "2026-11-23T10:00:00Z", "detail": DETAIL}
CLOUD = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": DETAIL}
SCHEMA_NAMES: dict[tuple[str | int, ...], list[str]] = {
    (): ["discount", "coupon"],
    ("discount",): ["percent"],
    ("items", 0): ["gift"],
    ("items", 0, "gift"): ["to"],
}


def list_properties(event: Event, path: Sequence[str | int]) -> Collection[str]:
    """Returns the names of a schema."""
    return SCHEMA_NAMES.get(tuple(path), ())


def change(event: dict[str, Any], *assignments: str, new: Sequence[str] = ()) -> Any:
    """Returns the document of an event with assignments."""
    original = parse_event(json.dumps(event).encode())
    changed = apply_overrides(original, assignments, DEFAULTS, new=new, list_properties=list_properties)
    return json.loads(changed.raw)


def refusal(event: dict[str, Any], *assignments: str, new: Sequence[str] = ()) -> str:
    """Returns the message for a path or value that is refused."""
    with pytest.raises(UsageError) as caught:
        change(event, *assignments, new=new)
    return str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "detail.orderTotal",
        ".detail.orderTotal",
        "$.detail.orderTotal",
        "/detail/orderTotal",
        'detail["orderTotal"]',
        "$['detail']['orderTotal']",
    ],
)
def test_a_path_may_be_written_in_every_notation(path: str) -> None:
    """As in messages, as a JSON Pointer, and as JSONPath."""
    assert change(BRIDGE, f"{path}=6")["detail"] == {**DETAIL, "orderTotal": 6}


@pytest.mark.parametrize(
    "path", ["detail.items[0].price", "/detail/items/0/price", "detail.items.0.price", "$.detail.items[0]['price']"]
)
def test_an_element_is_named_by_its_index(path: str) -> None:
    """In every notation."""
    assert change(BRIDGE, f"{path}=9")["detail"]["items"] == [{"price": 9, "itemId": 7}]


@pytest.mark.parametrize(
    ("assignment", "key"),
    [('detail["a.b"]=3', "a.b"), ("/detail/a.b=3", "a.b"), ("/detail/x~1y=3", "x/y"), ('detail["p=q"]=3', "p=q")],
)
def test_a_key_may_have_any_character(assignment: str, key: str) -> None:
    """A dot, a slash, an equals sign."""
    assert change(BRIDGE, assignment)["detail"][key] == 3


@pytest.mark.parametrize(
    ("assignment", "pointer", "value"),
    [
        ("detail.note=a=b", ("detail", "note"), "a=b"),
        ("detail.note=", ("detail", "note"), ""),
        ("detail.shipTo.city=Havre", ("detail", "shipTo", "city"), "Havre"),
        ("detail.street2=x", ("detail", "street2"), "x"),
        ("detail.coupon=X", ("detail", "coupon"), "X"),
        ("detail.discount.percent=5", ("detail", "discount"), {"percent": 5}),
        ("detail.items[1]={}", ("detail", "items"), [{"price": 1, "itemId": 7}, {}]),
        ("/detail/items/-={}", ("detail", "items"), [{"price": 1, "itemId": 7}, {}]),
        ("/detail/items/0/gift/to=Ann", ("detail", "items"), [{"price": 1, "itemId": 7, "gift": {"to": "Ann"}}]),
        ("region=eu-west-1", ("region",), "eu-west-1"),
        ("account=123456789012", ("account",), "123456789012"),
        ("id=0077", ("id",), "0077"),
        ("id=77", ("id",), "77"),
        ("resources[0]=arn:x", ("resources",), ["arn:x"]),
    ],
)
def test_known_names_and_new_names_in_the_detail_are_set(assignment: str, pointer: Sequence[str], value: Any) -> None:
    """Names of the event, its schema or its envelope; and a name in the detail that is not similar to another."""
    found = change(BRIDGE, assignment)
    for step in pointer:
        found = found[step]

    assert found == value


@pytest.mark.parametrize(
    ("event", "assignment", "nearest"),
    [
        (BRIDGE, "detial.orderTotal=5", "detail.orderTotal"),
        (BRIDGE, "Detail.orderTotal=5", "detail.orderTotal"),
        (BRIDGE, "detial.orderTtal=5", "detail.orderTotal"),
        (BRIDGE, "orderTotal=5", "detail.orderTotal"),
        (BRIDGE, "items[0].price=5", "detail.items[0].price"),
        (BRIDGE, "detail.items.price=5", "detail.items[0].price"),
        (BRIDGE, "detail.items[7].price=5", "detail.items[0].price"),
        (BRIDGE, "detail.order_total=5", "detail.orderTotal"),
        (BRIDGE, "/detail/ordertotal=5", "detail.orderTotal"),
        (BRIDGE, "detail.a.b=5", 'detail["a.b"]'),
        (BRIDGE, "detail.cupon=5", "detail.coupon"),
        (BRIDGE, "detail.discuont.percent=5", "detail.discount.percent"),
        (BRIDGE, "data.orderTotal=5", "detail.orderTotal"),
        (BRIDGE, "tiem=2026-11-23T10:00:00Z", "time"),
        (BRIDGE, "type=x", "detail-type"),
        (BRIDGE, "DetailType=x", "detail-type"),
        (BRIDGE, "detail-typ=x", "detail-type"),
        (BRIDGE, "detai=x", "detail"),
        (CLOUD, "detail.orderTotal=5", "data.orderTotal"),
        (CLOUD, "orderTotal=5", "data.orderTotal"),
        (CLOUD, "data.order_total=5", "data.orderTotal"),
        (CLOUD, "Type=x", "type"),
    ],
)
def test_an_unknown_path_is_refused_with_the_nearest(event: dict[str, Any], assignment: str, nearest: str) -> None:
    said = refusal(event, assignment)

    assert said.startswith(f"--set {assignment.partition('=')[0]}: ")
    assert f"did you mean {nearest}?" in said


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("nothing.like.it=1", "the event has no nothing; an event has id, source, detail-type, time, detail"),
        ("detail.q.w=1", "the event has no detail.q; detail has orderTotal"),
        ("detail.orderTotal.z=1", "detail.orderTotal is a number: there is no z in it"),
        ("detail.items[2]=1", "detail.items is an array of 1 and has no 2"),
        ("detail[0]=1", "detail is an object: there is no 0 in it"),
        ("detail=5", "--set: the result is not an event: the envelope's detail must be a JSON object, not a number"),
        (
            "resources=x",
            "--set: the result is not an event: the envelope's resources must be a list of strings, not a string",
        ),
        ("detail", "it is PATH=VALUE"),
        ("/detail", "it is PATH=VALUE"),
        ("=5", "it is PATH=VALUE"),
        ("detail..total=5", "it is PATH=VALUE"),
        ("detail.items[*].price=5", "it is PATH=VALUE"),
    ],
)
def test_a_path_through_a_scalar_is_refused_with_a_reason(assignment: str, reason: str) -> None:
    assert reason in refusal(BRIDGE, assignment)


@pytest.mark.parametrize("value", ['{"b":', "[1,", '"open', '{"b": 1, "b": 2}', "{'b': 1}", "1e999"])
def test_broken_json_is_not_used_as_a_string(value: str) -> None:
    """A value that begins like JSON is meant as JSON. The message says how to write a string."""
    said = refusal(BRIDGE, f"detail.orderTotal={value}")

    assert "--set detail.orderTotal: the value is not well-formed JSON: " in said
    assert f"put a string that looks like JSON in quotes: {json.dumps(value)}" in said
    assert change(BRIDGE, f"detail.orderTotal={json.dumps(value)}")["detail"]["orderTotal"] == value


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("detial.orderTotal=5", {"detial": {"orderTotal": 5}}),
        ("tiem=5", {"tiem": 5}),
        ('x["a.b"][0].c=1', {"x": {"a.b": [{"c": 1}]}}),
    ],
)
def test_set_new_accepts_any_path(assignment: str, expected: dict[str, Any]) -> None:
    """It creates the objects and arrays on the way."""
    assert change(BRIDGE, new=[assignment]) == {**BRIDGE, "id": "new", **expected}


def test_set_new_comes_before_set() -> None:
    """So `--set` can use a new object."""
    assert change(BRIDGE, "detail.gift.note=x", new=["detail.gift={}"])["detail"]["gift"] == {"note": "x"}


def test_data_in_base64_becomes_json_when_it_is_changed() -> None:
    event = {**CLOUD, "data_base64": "eyJhIjogMX0="}
    del event["data"]

    assert change(event, "data.a=2")["data"] == {"a": 2}
    assert "data_base64" not in change(event, "data.a=2")
