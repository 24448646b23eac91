"""The paths of errors: they have the names that the engine loses, empty ones and those of digits."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Evtool

TEXT = {"type": "string"}

# (schema of the payload, the payload, the pointers in it that the findings have)
ERRORS: list[tuple[Any, Any, list[str]]] = [
    ({"properties": {"": TEXT}}, {"": 1}, ["/"]),
    ({"properties": {"": {"properties": {"": TEXT}}}}, {"": {"": 1}}, ["//"]),
    ({"properties": {"": {"required": ["c"]}}}, {"": {}}, ["/"]),
    ({"properties": {"": {"items": TEXT}}}, {"": ["x", 1]}, ["//1"]),
    ({"items": {"properties": {"": TEXT}}, "properties": {"a": {"items": {"$ref": "#"}}}}, {"a": [{}]}, []),
    ({"properties": {"a": {"items": {"properties": {"": TEXT}}}}}, {"a": [{"": 1}]}, ["/a/0/"]),
    # the same name and the same value in two places
    ({"properties": {"": {"$ref": "#"}, "b": TEXT}}, {"": {"b": 1}, "b": "x"}, ["//b"]),
    ({"properties": {"": {"$ref": "#"}, "b": TEXT}}, {"": {"b": 1}, "b": 1}, ["//b", "/b"]),
    # names with characters that a pointer escapes, and those that are written around names
    ({"additionalProperties": {"properties": {"": TEXT}}}, {'["~/"]:\n': {"": 1}, "": {}}, ['/["~0~1"]:\n/']),
    # inside the forms of a union, and in what no other keyword describes
    ({"properties": {"": {"anyOf": [{"properties": {"": TEXT}}, TEXT]}}}, {"": {"": 1}}, ["//"]),
    ({"properties": {"": {"unevaluatedProperties": TEXT}}}, {"": {"": 1}}, ["//"]),
    (
        {"properties": {"": {"properties": {"a": TEXT}, "additionalProperties": False}}},
        {"": {"": 1, "b": 2}},
        ["//", "//b"],
    ),
    # names of digits, which the engine gives as indices
    ({"additionalProperties": TEXT}, {"0": 1, "007": 2, "+5": 3, "12x": 4}, ["/0", "/007", "/+5", "/12x"]),
    ({"properties": {"a": {"items": {"properties": {"1": TEXT}}}}}, {"a": [{}, {"1": 1}]}, ["/a/1/1"]),
    ({"properties": {"": {"properties": {"0": {"items": TEXT}}}}}, {"": {"0": ["x", 1]}}, ["//0/1"]),
    (
        {"properties": {"0": {"anyOf": [{"required": ["1"], "properties": {"1": TEXT}}, TEXT]}}},
        {"0": {"1": 1}},
        ["/0/1"],
    ),
]


@pytest.mark.parametrize(("schema", "payload", "pointers"), ERRORS, ids=[json.dumps(row[:2]) for row in ERRORS])
def test_findings_have_full_paths(
    evtool: Evtool, tmp_path: Path, schema: Any, payload: Any, pointers: list[str]
) -> None:
    """The pointer of a finding leads to the value that is wrong."""
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    event = {"id": "1", "detail-type": "t", "source": "s", "time": "2026-11-23T10:00:00Z", "detail": payload}
    (tmp_path / "event.json").write_text(json.dumps(event))
    ran = evtool("validate", "event.json", "--schema", "schema.json", "-o", "json", cwd=tmp_path)

    assert sorted(finding["pointer"] for finding in ran.json["findings"]) == sorted(f"/detail{p}" for p in pointers)


def test_the_message_names_the_field(evtool: Evtool, tmp_path: Path) -> None:
    """The path is that of `--set`, and the value is underlined."""
    (tmp_path / "schema.json").write_text('{"properties": {"": {"type": "string"}}}')
    (tmp_path / "event.json").write_text('{"detail-type": "t", "source": "s",\n "detail": {"": 15}}')
    ran = evtool("validate", "event.json", "--schema", "schema.json", cwd=tmp_path)

    assert 'event.json:2:17: EV104 detail[""] should be string, got the number 15' in ran.out + ran.err


def test_the_message_names_a_field_of_digits(evtool: Evtool, tmp_path: Path) -> None:
    """It is not an index of an array: `--set detail.0=x` takes it."""
    (tmp_path / "schema.json").write_text('{"additionalProperties": {"type": "string"}}')
    (tmp_path / "event.json").write_text('{"detail-type": "t", "source": "s",\n "detail": {"0": 15}}')
    ran = evtool("validate", "event.json", "--schema", "schema.json", cwd=tmp_path)

    assert "event.json:2:18: EV104 detail.0 should be string, got the number 15" in ran.out


def test_a_schema_is_wrong_at_an_empty_name(evtool: Evtool, tmp_path: Path) -> None:
    """The place in the schema is that of the wrong value."""
    (tmp_path / "schema.json").write_text('{"properties": {"": {"properties": {"":\n {"type": 5}}}}}')
    (tmp_path / "event.json").write_text('{"detail-type": "t", "source": "s", "detail": {}}')
    ran = evtool("validate", "event.json", "--schema", "schema.json", cwd=tmp_path)

    assert "schema.json:2:11: EV602" in ran.out + ran.err
