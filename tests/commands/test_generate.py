"""`evtool generate`: events of a type and of a route, for any schema and pattern, the same for the same seed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Evtool

ROUTES = """version: 1
schemas: schemas
handlers: {mail: {command: [cat]}}
routes:
  orders:
    to: [mail]
    pattern: PATTERN
"""


def write_project(folder: Path, schema: Any, pattern: Any = None) -> None:
    """A project with a schema of type `made` and one route."""
    (folder / "schemas").mkdir()
    (folder / "schemas" / "made.json").write_text(json.dumps(schema), encoding="utf-8")
    text = json.dumps(pattern or {"detail-type": ["made"]})
    (folder / "routes.yaml").write_text(ROUTES.replace("PATTERN", text), encoding="utf-8")


SCHEMAS: dict[str, Any] = {
    "formats": {
        "type": "object",
        "required": ["a", "b", "c", "d", "e"],
        "properties": {
            "a": {"type": "string", "format": "date-time"},
            "b": {"type": "string", "format": "email"},
            "c": {"type": "string", "format": "uuid"},
            "d": {"type": "string", "format": "ipv6"},
            "e": {"type": "string", "format": "uri", "maxLength": 30},
        },
    },
    "lengths": {
        "required": ["a", "b"],
        "properties": {"a": {"type": "string", "minLength": 300}, "b": {"type": "string", "maxLength": 2}},
    },
    "expressions": {
        "required": ["a", "b"],
        "properties": {
            "a": {"type": "string", "pattern": "^[A-Z]{2}-\\d+(-x)?$", "minLength": 6},
            "b": {"allOf": [{"type": "string", "pattern": "^inv-"}, {"pattern": "[0-9]{4}$"}]},
        },
    },
    "expressions with lengths": {
        "required": ["a", "b", "c", "d"],
        "properties": {
            "a": {"type": "string", "pattern": "^(?:[a-z]+\\.)+[a-z]{2,}$", "maxLength": 12},
            "b": {"type": "string", "pattern": "^[^\\s@]+@[^\\s@]+$", "minLength": 30},
            "c": {"type": "string", "pattern": "^[A-C]+$", "minLength": 2, "maxLength": 2},
            "d": {"type": "string", "pattern": "^\\p{Lu}\\p{Ll}+[\\p{L}]$"},
        },
    },
    "open expressions with lengths": {
        "required": ["a", "b", "c"],
        "properties": {
            "a": {"type": "string", "pattern": "b$", "minLength": 2, "maxLength": 3},
            "b": {"type": "string", "pattern": "[0-9]", "minLength": 400},
            "c": {"type": "string", "pattern": "-$", "minLength": 400},
        },
    },
    "formats with lengths": {
        "required": ["a", "b", "c"],
        "properties": {
            "a": {"type": "string", "format": "email", "maxLength": 8},
            "b": {"type": "string", "format": "email", "minLength": 40},
            "c": {"type": "string", "format": "int64", "minLength": 1},
        },
    },
    "a list that goes on": {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "required": ["value", "next"],
                "properties": {
                    "value": {"type": "string"},
                    "next": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]},
                },
            }
        },
    },
    "all values of a range": {
        "required": ["a"],
        "properties": {
            "a": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 50},
                "minItems": 50,
                "uniqueItems": True,
            }
        },
    },
    "numbers": {
        "required": ["a", "b", "c", "d"],
        "properties": {
            "a": {"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9},
            "b": {"type": "number", "multipleOf": 0.25, "minimum": -1, "maximum": 1},
            "c": {"type": "integer", "maximum": -1000},
            "d": {"type": "number", "exclusiveMinimum": 0.1, "maximum": 0.11},
        },
    },
    "arrays": {
        "required": ["a", "b", "c"],
        "properties": {
            "a": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
            "b": {"type": "array", "contains": {"const": "x"}, "minContains": 2, "maxItems": 2},
            "c": {"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}], "items": False, "minItems": 2},
        },
    },
    "forms": {
        "oneOf": [
            {"properties": {"kind": {"const": "a"}, "x": {"type": "string"}}, "required": ["kind", "x"]},
            {"properties": {"kind": {"const": "b"}, "y": {"type": "number"}}, "required": ["kind", "y"]},
        ],
        "unevaluatedProperties": False,
    },
    "condition": {
        "required": ["country"],
        "properties": {"country": {"enum": ["US", "DE"]}, "zip": {"type": "string"}},
        "if": {"properties": {"country": {"const": "US"}}},
        "then": {"required": ["zip"], "properties": {"zip": {"pattern": "^[0-9]{5}$"}}},
    },
    "recursion": {
        "$defs": {"node": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
        "$ref": "#/$defs/node",
    },
    "draft 4": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "number", "minimum": 3, "exclusiveMinimum": True, "maximum": 4}},
    },
    "names": {"type": "object", "minProperties": 2, "propertyNames": {"pattern": "^[a-z]{3}$"}},
    "dependent": {"required": ["a"], "properties": {"a": {}}, "dependentRequired": {"a": ["b"]}, "minProperties": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_generated_events_of_a_type_are_valid(evtool: Evtool, tmp_path: Path, name: str) -> None:
    """For every keyword of schemas."""
    write_project(tmp_path, SCHEMAS[name])

    made = evtool("generate", "made", "-n", "20")

    assert made.code == 0, made.err
    assert made.out.count("\n") == 20
    assert evtool("validate", "-", stdin=made.out.encode()).out == "checked 20 events in 1 file: all valid\n"


PATTERNS: list[dict[str, Any]] = [
    {"detail": {"total": [{"numeric": [">", 100, "<=", 500]}]}},
    {"detail": {"currency": [{"anything-but": "EUR"}]}},
    {"detail": {"currency": [{"prefix": "U"}, {"suffix": "F"}]}},
    {"detail": {"note": [{"exists": False}]}},
    {"detail": {"note": [{"wildcard": "a*b*c"}]}},
    {"detail": {"note": [{"equals-ignore-case": "Express"}]}},
    {"detail": {"lines": {"sku": ["a-1"], "quantity": [{"numeric": [">=", 3]}], "gift": [{"exists": False}]}}},
    {"detail": {"tags": [{"prefix": "vip-"}]}},
    {"detail": {"ip": [{"cidr": "10.0.0.0/8"}]}},
    {"detail": {"$or": [{"total": [5]}, {"currency": ["USD"], "paid": [True]}]}},
    {"detail": {"unlisted": {"name": ["x"]}}},
    {"region": ["eu-west-1"], "account": [{"prefix": "12"}], "resources": [{"suffix": "/a"}]},
]
ORDER = {
    "type": "object",
    "required": ["total", "currency", "lines"],
    "properties": {
        "total": {"type": "number", "minimum": 0},
        "currency": {"enum": ["EUR", "USD", "CHF"]},
        "note": {"type": "string"},
        "paid": {"type": "boolean"},
        "ip": {"type": "string", "format": "ipv4"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["sku"],
                "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}, "gift": {}},
            },
        },
    },
}


@pytest.mark.parametrize("pattern", PATTERNS, ids=json.dumps)
def test_a_route_matches_generated_events_and_not_near_misses(
    evtool: Evtool, tmp_path: Path, pattern: dict[str, Any]
) -> None:
    """Both are valid if that is possible. A near miss fails one condition."""
    write_project(tmp_path, ORDER, {"source": ["shop"], "detail-type": ["made"], **pattern})

    made = evtool("generate", "--for-route", "orders", "-n", "5")
    missing = evtool("generate", "--for-route", "orders", "--near-miss", "-n", "5")

    for ran, matches in ((made, True), (missing, False)):
        assert ran.code == 0, ran.err
        explained = evtool("explain", "-", "--route", "orders", "-o", "json", stdin=ran.out.encode()).json
        assert [event["routes"][0]["matches"] for event in explained["events"]] == [matches] * 5
        checked = evtool("validate", "-", stdin=ran.out.encode())
        assert checked.out == "checked 5 events in 1 file: all valid\n"
    if "$or" not in pattern.get("detail", {}):
        conditions = [event["routes"][0]["conditions"] for event in explained["events"]]
        assert all(len({c["path"] for c in entry if not c["ok"]}) == 1 for entry in conditions)


def test_a_near_miss_has_a_complete_envelope(evtool: Evtool, tmp_path: Path) -> None:
    """`explain` can read it. If only envelope fields could miss, the message says so."""
    write_project(tmp_path, True, {"source": [{"prefix": ""}]})
    ran = evtool("generate", "--for-route", "orders", "--near-miss")

    assert (ran.code, ran.out) == (1, "")
    assert "no event was found that the pattern just misses" in ran.err


def test_an_event_satisfies_the_condition_and_the_expression_of_the_schema(evtool: Evtool, tmp_path: Path) -> None:
    """A prefix of the route, and a regular expression."""
    schema = {"required": ["sku"], "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}}}
    write_project(tmp_path, schema, {"detail-type": ["made"], "detail": {"sku": [{"prefix": "AB-"}]}})
    events = evtool("generate", "--for-route", "orders", "-n", "20").out

    assert [json.loads(line)["detail"]["sku"][:3] for line in events.splitlines()] == ["AB-"] * 20
    (tmp_path / "events.jsonl").write_text(events)
    assert evtool("validate", "events.jsonl").code == 0


def test_the_same_seed_gives_the_same_events(evtool: Evtool, shop: Path) -> None:
    """Also ids and times."""
    first = evtool("generate", "order.created", "-n", "3", "--seed", "5", cwd=shop)

    assert first.out == evtool("generate", "order.created", "-n", "3", "--seed", "5", cwd=shop).out
    assert first.out != evtool("generate", "order.created", "-n", "3", "--seed", "9", cwd=shop).out


def test_examples_of_the_schema_are_used(evtool: Evtool, tmp_path: Path) -> None:
    """They are more realistic than random values."""
    properties = {
        "city": {"type": "string", "examples": ["Bern", "Basel"]},
        "zip": {"type": "string", "default": "3000"},
    }
    write_project(tmp_path, {"required": ["city", "zip"], "properties": properties})

    detail = json.loads(evtool("generate", "made").out)["detail"]

    assert detail["city"] in ("Bern", "Basel")
    assert detail["zip"] == "3000"


def test_a_schema_of_cloudevents_gives_cloudevents(evtool: Evtool, tmp_path: Path) -> None:
    """A schema of whole CloudEvents gives CloudEvents."""
    schema = {
        "type": "object",
        "required": ["specversion", "type", "source", "id", "data"],
        "properties": {
            "specversion": {"const": "1.0"}, "type": {"const": "made"}, "source": {"const": "/shop"},
            "id": {"type": "string"}, "data": {"type": "object", "required": ["n"], "properties": {"n": {"const": 5}}},
        },
    }  # fmt: skip
    write_project(tmp_path, schema)

    made = evtool("generate", "made")

    event = json.loads(made.out)
    assert (event["specversion"], event["source"], event["data"]["n"]) == ("1.0", "/shop", 5)
    assert evtool("validate", "-", stdin=made.out.encode()).code == 0


@pytest.mark.parametrize(
    ("schema", "pattern", "reason"),
    [
        (False, None, "its schema accepts nothing"),
        ({"required": ["a"], "properties": {"a": {"minLength": 3, "maxLength": 2, "type": "string"}}}, None, "nothing"),
        ({"required": ["a"], "properties": {"a": {"type": "string", "pattern": "(?=x)(?!x)"}}}, None, "a"),
        ({"type": "array", "items": {"type": "string"}}, None, "accepts no object, and the detail of an event is one"),
    ],
)  # fmt: skip
def test_a_schema_without_a_valid_value_is_an_error_with_the_reason(
    evtool: Evtool, tmp_path: Path, schema: Any, pattern: Any, reason: str
) -> None:
    """The search ends."""
    write_project(tmp_path, schema, pattern)

    ran = evtool("generate", "made")

    assert ran.code == 1
    assert reason in ran.err
    assert not ran.out


def test_a_route_that_matches_no_valid_event_gets_an_invalid_one(evtool: Evtool, tmp_path: Path) -> None:
    """It shows what the route asks for."""
    write_project(tmp_path, ORDER, {"detail-type": ["made"], "detail": {"currency": ["GBP"]}})

    ran = evtool("generate", "--for-route", "orders")

    assert json.loads(ran.out)["detail"]["currency"] == "GBP"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mode"], 'did you mean "made"?'),
        (["made", "--for-route", "orders"], "name a type, or a route"),
        ([], "name a type, or a route"),
        (["made", "--near-miss"], "--near-miss needs a route"),
        (["--for-route", "orders", "--source", "x"], "--source belongs to TYPE"),
        (["--for-route", "order"], "there is no route order"),
    ],
)
def test_usage_errors_of_generate_say_what_to_do(
    evtool: Evtool, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """The message says what to do."""
    write_project(tmp_path, ORDER)

    ran = evtool("generate", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
