"""Compatibility of two versions of a schema: the corpus tests/cases/schema_diff/pairs.json, in both directions."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft202012Validator

from evtool.schemas.diff.changes import SchemaDiff
from evtool.schemas.diff.containment import write_loops
from evtool.schemas.diff.diff import diff_schemas
from evtool.schemas.diff.inlining import InlinedSchema, inline
from evtool.schemas.diff.samples import iter_samples
from evtool.schemas.documents.declarations import draft_of
from evtool.schemas.documents.references import Library
from tests.conftest import ROOT

PAIRS = json.loads((ROOT / "tests/cases/schema_diff/pairs.json").read_text())
NAMES = [pair["name"] for pair in PAIRS]


def open_schema(folder: Path, name: str, schema: Any) -> InlinedSchema:
    """A schema in a file, as the comparison reads it."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(schema))
    library = Library([folder])
    return inline(library, f"{library.open(file).uri}#", draft_of(schema))


def compare(folder: Path, old: Any, new: Any, *, relaxed: bool = False) -> SchemaDiff:
    """Compares two schemas."""
    return diff_schemas(open_schema(folder, "old", old), open_schema(folder, "new", new), relaxed=relaxed)


@pytest.mark.parametrize("mode", ["strict", "relaxed"])
@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_pairs_are_compatible_as_expected(pair: dict[str, Any], mode: str, tmp_path: Path) -> None:
    """Both directions are decided as the corpus says, and the reversed pair the other way round."""
    result = compare(tmp_path, pair["old"], pair["new"], relaxed=mode == "relaxed")
    reverse = compare(tmp_path, pair["new"], pair["old"], relaxed=mode == "relaxed")
    expected = pair[mode]

    assert {"backward": result.backward, "forward": result.forward} == expected
    assert {"backward": reverse.forward, "forward": reverse.backward} == expected


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_breaks_are_explained(pair: dict[str, Any], tmp_path: Path) -> None:
    """Exactly the incompatible directions have a change that breaks them, with a file and a line."""
    result = compare(tmp_path, pair["old"], pair["new"])
    for direction, verdict in (("backward", result.backward), ("forward", result.forward)):
        breaking = [change for change in result.changes if direction in change.breaks]

        assert bool(breaking) == (verdict is False)
        assert all(change.line and change.file for change in breaking)


def build_validator(schema: Any) -> Any:
    """The validator of another implementation."""
    kind = Draft4Validator if "draft-04" in str(draft_of(schema)) else Draft202012Validator
    if isinstance(schema, dict) and "dependencies" in schema:
        schema = {"dependentRequired": schema["dependencies"]}
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_no_example_contradicts_a_verdict(pair: dict[str, Any], tmp_path: Path) -> None:
    """In another implementation, a compatible schema accepts all sample values that the other schema accepts."""
    for first, second, verdict in (
        ("old", "new", pair["strict"]["backward"]),
        ("new", "old", pair["strict"]["forward"]),
    ):
        schema = open_schema(tmp_path, "x", pair[first])
        root = write_loops(schema.value, schema.loops)
        accepts, other = build_validator(pair[first]), build_validator(pair[second])
        values = [value for value in islice(iter_samples(root, root), 500) if accepts.is_valid(value)]
        refused = [value for value in values if not other.is_valid(value)]

        if verdict is True:
            assert not refused
        elif verdict is None:
            assert not refused, "an example decides it"


def test_changes_are_located_where_they_are_written(tmp_path: Path) -> None:
    """A change behind a reference into another file has the pointer and the line of that file."""
    for name, least in (("old", 1), ("new", 5)):
        (tmp_path / name).mkdir()
        amount = {"$defs": {"amount": {"type": "number", "minimum": least}}}
        (tmp_path / name / "money.json").write_text(json.dumps(amount, indent=1))
        (tmp_path / name / "a.json").write_text(
            json.dumps({"properties": {"total": {"$ref": "money.json#/$defs/amount"}}})
        )
    sides = []
    for name in ("old", "new"):
        library = Library([tmp_path / name])
        sides.append(inline(library, f"{library.open(tmp_path / name / 'a.json').uri}#", None))
    [change] = diff_schemas(*sides).changes

    assert (change.pointer, change.line) == ("/$defs/amount/minimum", 5)
    assert str(change.file).endswith("new/money.json")
    assert change.message == "total: the minimum was 1, now 5"
    assert change.breaks == ("backward",)


CARD = {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "card"}, "number": {"type": "string"}}}
CASH = {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "cash"}}}


@pytest.mark.parametrize(
    ("old", "new", "pointer", "message"),
    [
        (
            {"oneOf": [CARD, CASH]},
            {"oneOf": [CASH, {**CARD, "required": ["kind", "number"]}]},
            "/oneOf/1/required",
            'number is now required, in the form kind "card"',
        ),
        ({"anyOf": [CARD, CASH]}, {"anyOf": [CARD]}, "/anyOf/1", 'the value: the form kind "cash" was removed'),
        (
            {"$defs": {"Cash": CASH, "Card": CARD}, "anyOf": [{"$ref": "#/$defs/Cash"}, {"$ref": "#/$defs/Card"}]},
            {"$defs": {"Cash": CASH}, "anyOf": [{"$ref": "#/$defs/Cash"}]},
            "/$defs/Card",
            "the value: the form Card was removed",
        ),
        (
            {"oneOf": [{"type": "string", "maxLength": 5}]},
            {"oneOf": [{"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 3}]},
            "/oneOf",
            "the value: oneOf: a value may fit several forms now",
        ),
        (
            {"patternProperties": {"^x-": {"type": ["string", "null"]}}},
            {"patternProperties": {"^x-": {"type": "string"}}},
            "/patternProperties/^x-/type",
            "/^x-/: the type was null or string, now string",
        ),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
            "/prefixItems/1/type",
            "[1]: the type was number, now integer",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "/additionalProperties/type",
            "*: the type was number, now integer",
        ),
        (
            {"allOf": [{"type": "object"}, {"properties": {"a": {"type": "string"}}, "additionalProperties": False}]},
            {"allOf": [{"type": "object"}, {"properties": {}, "additionalProperties": False}]},
            "/allOf/1/properties/a",
            "a is removed, and the schema allows no other fields",
        ),
        (
            {"allOf": [{"type": "object"}]},
            {"allOf": [{"type": "object"}, {"properties": {"a": {"type": "string"}}, "required": ["a"]}]},
            "/allOf/1/required",
            "a is now required",
        ),
    ],
)
def test_changes_of_forms_and_elements_are_located(
    old: Any, new: Any, pointer: str, message: str, tmp_path: Path
) -> None:
    """The location is the changed form, expression, element or part of `allOf`, not the keyword around it."""
    breaking = [change for change in compare(tmp_path, old, new).changes if "backward" in change.breaks]

    assert (pointer, message) in [(change.pointer, change.message) for change in breaking]
    assert all(change.line for change in breaking)


def test_a_change_that_another_one_compensates_for_breaks_nothing(tmp_path: Path) -> None:
    """The type is removed, and the `enum` still implies it."""
    result = compare(tmp_path, {"type": "string", "enum": ["a"]}, {"enum": ["a", "b"]})

    assert result.backward is True
    assert [change.kind for change in result.changes] == ["enum-widened"]


def test_null_in_an_enum_is_null_in_the_message(tmp_path: Path) -> None:
    """It is not `none`, which means that a keyword is missing."""
    [change] = compare(tmp_path, {}, {"enum": [None, "a"]}).changes

    assert change.message == 'the value is limited to null, "a"'


def test_a_schema_that_is_too_large_without_references_is_refused(tmp_path: Path) -> None:
    """References that double the schema at each level do not use up the memory."""
    levels = {
        f"L{n}": {"properties": {"a": {"$ref": f"#/$defs/L{n + 1}"}, "b": {"$ref": f"#/$defs/L{n + 1}"}}}
        for n in range(30)
    }
    with pytest.raises(ValueError, match="parts after its references are resolved"):
        open_schema(tmp_path, "x", {"$defs": {**levels, "L30": {"type": "string"}}, "$ref": "#/$defs/L0"})
