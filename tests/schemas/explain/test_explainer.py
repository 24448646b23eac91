"""Explanations of errors: rules that hold for every schema and value, tested with random ones."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from evtool.errors import ConfigError
from evtool.events.envelopes import parse_event
from evtool.schemas.validator import Schemas

NAMES = ["a", "b", "kind", "ab"]
SCALARS = ["x", "10", "True", "card", 1, 1.5, None, True, False]


def make_value(choice: random.Random, depth: int) -> Any:
    """A random JSON value."""
    kind = choice.randrange(3) if depth else 0
    if kind == 0:
        return choice.choice(SCALARS)
    items = [make_value(choice, depth - 1) for _ in range(choice.randrange(4))]
    return items if kind == 1 else {choice.choice(NAMES): item for item in items}


def make_schema(choice: random.Random, depth: int) -> dict[str, Any]:
    """A random schema of the keywords that are explained together with others."""

    def part() -> dict[str, Any]:
        return make_schema(choice, depth - 1)

    def parts() -> list[dict[str, Any]]:
        return [part() for _ in range(choice.randrange(1, 4))]

    rules = {
        "type": lambda: choice.choice(["object", "string", "number", "array", ["null", "object"]]),
        "const": lambda: choice.choice(SCALARS),
        "enum": lambda: choice.sample(SCALARS[:7], 2),
        "required": lambda: [choice.choice(NAMES)],
        "uniqueItems": lambda: True,
        "$ref": lambda: f"#/$defs/{choice.choice('AB')}",
    }
    if depth:
        rules |= dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), parts)
        rules |= dict.fromkeys(("items", "contains", "if", "then", "else"), part)
        rules |= dict.fromkeys(("unevaluatedProperties", "unevaluatedItems"), lambda: False)
        rules["properties"] = lambda: {choice.choice(NAMES): part() for _ in range(3)}
        rules["patternProperties"] = lambda: {"^a": part()}
        rules["additionalProperties"] = lambda: choice.choice([False, part()])
    return {name: rules[name]() for name in choice.sample(list(rules), choice.randrange(1, 4))}


@pytest.mark.parametrize("seed", range(20))
def test_an_event_has_findings_if_and_only_if_it_is_invalid(tmp_path: Path, seed: int) -> None:
    """An invalid event keeps at least one finding, and each pointer leads into the payload."""
    choice = random.Random(seed)
    for _ in range(25):
        schema = {**make_schema(choice, 4), "$defs": {name: make_schema(choice, 2) for name in "AB"}}
        (tmp_path / "t.json").write_text(json.dumps(schema), encoding="utf-8")
        schemas = Schemas([tmp_path])
        for _ in range(5):
            detail = {name: make_value(choice, 3) for name in choice.sample(NAMES, 2)}
            document = {"id": "1", "source": "s", "detail-type": "t", "detail": detail}
            try:
                findings = schemas.check(parse_event(json.dumps(document).encode()))
            except ConfigError:
                # A reference leads in a circle.
                break
            assert (findings == []) is jsonschema_rs.is_valid(schema, detail), (schema, detail)
            assert all((finding.pointer or "").startswith("/detail") for finding in findings)


def test_an_unknown_property_is_reported_beside_an_unrelated_error(tmp_path: Path) -> None:
    """Only properties that are unevaluated because of the error are left out."""
    card = {"properties": {"kind": {"const": "card"}, "number": {"type": "string"}}, "required": ["kind"]}
    bank = {"properties": {"kind": {"const": "bank"}, "iban": {"type": "string"}}, "required": ["kind"]}
    schema = {"properties": {"id": {}}, "oneOf": [card, bank], "unevaluatedProperties": False}
    (tmp_path / "t.json").write_text(json.dumps(schema), encoding="utf-8")
    detail = {"kind": "card", "id": 1, "number": 5, "iban": "x", "other": 1}
    document = {"id": "1", "source": "s", "detail-type": "t", "detail": detail}

    findings = Schemas([tmp_path]).check(parse_event(json.dumps(document).encode()))
    assert {(finding.code, finding.pointer) for finding in findings} == {
        ("EV104", "/detail/number"),
        ("EV103", "/detail/iban"),
        ("EV103", "/detail/other"),
    }
