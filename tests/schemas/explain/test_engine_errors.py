"""The paths of errors: they have the empty names and the names of digits that the engine loses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Evtool

TEXT = {"type": "string"}

# The schema of the payload, the payload, and the pointers of the findings in it.
ERRORS: list[tuple[Any, Any, list[str]]] = [
    ({"properties": {"": TEXT}}, {"": 1}, ["/"]),
    ({"properties": {"": {"properties": {"": TEXT}}}}, {"": {"": 1}}, ["//"]),
    ({"properties": {"": {"required": ["c"]}}}, {"": {}}, ["/"]),
    ({"properties": {"": {"items": TEXT}}}, {"": ["x", 1]}, ["//1"]),
    ({"items": {"properties": {"": TEXT}}, "properties": {"a": {"items": {"$ref": "#"}}}}, {"a": [{}]}, []),
    ({"properties": {"a": {"items": {"properties": {"": TEXT}}}}}, {"a": [{"": 1}]}, ["/a/0/"]),
    # The same name and the same value are in two places.
    ({"properties": {"": {"$ref": "#"}, "b": TEXT}}, {"": {"b": 1}, "b": "x"}, ["//b"]),
    ({"properties": {"": {"$ref": "#"}, "b": TEXT}}, {"": {"b": 1}, "b": 1}, ["//b", "/b"]),
    # Names have characters that a pointer escapes, or that the engine writes around names.
    ({"additionalProperties": {"properties": {"": TEXT}}}, {'["~/"]:\n': {"": 1}, "": {}}, ['/["~0~1"]:\n/']),
    # The name is inside the forms of a union, or in a part that no other keyword describes.
    ({"properties": {"": {"anyOf": [{"properties": {"": TEXT}}, TEXT]}}}, {"": {"": 1}}, ["//"]),
    ({"properties": {"": {"unevaluatedProperties": TEXT}}}, {"": {"": 1}}, ["//"]),
    (
        {"properties": {"": {"properties": {"a": TEXT}, "additionalProperties": False}}},
        {"": {"": 1, "b": 2}},
        ["//", "//b"],
    ),
    # The engine gives names of digits as indices.
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
    """The pointer of a finding leads to the invalid value."""
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    event = {"id": "1", "detail-type": "t", "source": "s", "time": "2026-11-23T10:00:00Z", "detail": payload}
    (tmp_path / "event.json").write_text(json.dumps(event))
    ran = evtool("validate", "event.json", "--schema", "schema.json", "-o", "json", cwd=tmp_path)

    assert sorted(finding["pointer"] for finding in ran.json["findings"]) == sorted(f"/detail{p}" for p in pointers)


def test_message_writes_an_empty_name_as_set_does(evtool: Evtool, tmp_path: Path) -> None:
    """The path has the form of `--set`, and the location is that of the value."""
    (tmp_path / "schema.json").write_text('{"properties": {"": {"type": "string"}}}')
    (tmp_path / "event.json").write_text('{"detail-type": "t", "source": "s",\n "detail": {"": 15}}')
    ran = evtool("validate", "event.json", "--schema", "schema.json", cwd=tmp_path)

    assert 'event.json:2:17: EV104 detail[""] should be string, got the number 15' in ran.out + ran.err


def test_message_writes_a_name_of_digits_as_set_does(evtool: Evtool, tmp_path: Path) -> None:
    """It is not an index of an array: `--set detail.0=x` accepts it."""
    (tmp_path / "schema.json").write_text('{"additionalProperties": {"type": "string"}}')
    (tmp_path / "event.json").write_text('{"detail-type": "t", "source": "s",\n "detail": {"0": 15}}')
    ran = evtool("validate", "event.json", "--schema", "schema.json", cwd=tmp_path)

    assert "event.json:2:18: EV104 detail.0 should be string, got the number 15" in ran.out


def test_invalid_schema_is_located_at_an_empty_name(evtool: Evtool, tmp_path: Path) -> None:
    """The location is that of the invalid value in the schema."""
    (tmp_path / "schema.json").write_text('{"properties": {"": {"properties": {"":\n {"type": 5}}}}}')
    (tmp_path / "event.json").write_text('{"detail-type": "t", "source": "s", "detail": {}}')
    ran = evtool("validate", "event.json", "--schema", "schema.json", cwd=tmp_path)

    assert "schema.json:2:11: EV602" in ran.out + ran.err
