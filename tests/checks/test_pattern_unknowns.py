"""Tests that unknown values in patterns, as templates have them, are never the reason of a finding."""

import json
from pathlib import Path
from typing import Any

import pytest

from evtool.checks.patterns.pattern_vs_schema import find_problems
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown
from evtool.schemas.algebra.matched_types import EventType
from evtool.schemas.algebra.types import TypeSchema, load_type
from evtool.schemas.validator import Schemas

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "kind"],
    "properties": {"id": {"type": "string"}, "kind": {"enum": ["a", "b"]}, "total": {"type": "number"}},
}
UNKNOWN = Unknown("!Ref Something")


def find_codes(folder: Path, pattern: Any, file: str = "made.json") -> list[str]:
    """Returns the codes of the findings about a pattern."""
    for old in folder.iterdir():
        old.unlink()
    (folder / file).write_text(json.dumps(SCHEMA))
    schemas = Schemas([folder])

    def find_type(event_type: EventType, payload_key: str) -> TypeSchema | None:
        compiled = schemas.find(event_type.type, event_type.source or "", payload_key)
        return load_type(compiled, *event_type, payload_key) if compiled else None

    known = [EventType(*entry) for entry in schemas.list_entries()]
    return [problem.code for problem in find_problems(Pattern(pattern), known, find_type)]


@pytest.mark.parametrize(
    "pattern",
    [
        UNKNOWN,
        {"source": ["shop"], "detail-type": [UNKNOWN], "detail": {"nothing": [5]}},
        {"source": [UNKNOWN], "detail-type": [{"prefix": UNKNOWN}], "detail": {"nothing": [5]}},
        {"source": [UNKNOWN], "detail-type": ["made"], "detail": {"kind": [UNKNOWN, "a"]}},
        {"source": ["shop"], "detail-type": ["made"], "detail": UNKNOWN},
        {
            "source": ["shop"],
            "detail-type": ["made"],
            "detail": {"kind": UNKNOWN, "total": [{"numeric": ["=", UNKNOWN]}]},
        },
        {"source": ["shop"], "detail-type": ["made"], "detail": {"nothing": [UNKNOWN]}},
        {"source": ["shop"], "detail-type": ["made"], "account": [UNKNOWN], "nothing": UNKNOWN},
    ],
    ids=repr,
)
def test_a_pattern_with_an_unknown_value_has_no_finding(tmp_path: Path, pattern: Any) -> None:
    assert find_codes(tmp_path, pattern) == []


def test_known_values_beside_unknown_ones_are_checked(tmp_path: Path) -> None:
    """One value of a list may be wrong although another one is unknown."""
    pattern = {"source": [UNKNOWN, "shop"], "detail-type": ["made"], "detail": {"kind": [UNKNOWN, "c"]}}

    assert find_codes(tmp_path, {**pattern, "source": ["shop"]}) == ["EV303"]
    assert find_codes(tmp_path, pattern) == ["EV303"]  # the schema is for any source


def test_the_schema_may_depend_on_an_unknown_source(tmp_path: Path) -> None:
    """A schema for one source says nothing about a type that may come from another one."""
    pattern = {"source": [UNKNOWN], "detail-type": ["made"], "detail": {"nothing": [5]}}

    assert find_codes(tmp_path, pattern) == ["EV301"]
    assert find_codes(tmp_path, pattern, "shop@made.json") == []
