"""Tests that findings about patterns hold for every event: random schemas and patterns against all small events."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from evtool.checks.patterns.pattern_vs_schema import find_problems
from evtool.checks.patterns.subject import PatternProblem
from evtool.patterns.compiler import PatternError
from evtool.patterns.flatten import flatten_event
from evtool.patterns.pattern import Pattern
from evtool.schemas.algebra.matched_types import EventType
from evtool.schemas.algebra.types import TypeSchema, load_type
from evtool.schemas.validator import Schemas

SCALARS = [None, True, 0, 1.5, "x", "xy", "10.0.0.1", ""]
INNER = [{"c": 0}, {"c": "x", "d": 0}, {"c": "x", "d": "x"}, {"d": 1.5}, {"c": {"d": "x"}}, {"c": []}]
MISSING = object()
VALUES = [
    MISSING,
    *SCALARS,
    {},
    [],
    [0, "x"],
    [[]],
    [["xy", 0]],
    *INNER,
    [{"c": 0, "d": 0}, {"c": "x"}],
    [{}, 0],
    [[{"c": 0}]],
]
DETAILS = [
    {name: value for name, value in zip("ab", pair, strict=True) if value is not MISSING}
    for pair in product(VALUES, VALUES)
] + [{"a": 0, "e": "x"}, {"a.c": "x"}, {"b": 0, "a.c": 0}, {"A": 0}]
DRAFTS = ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#", None, None]


def pick_leaf(rng: Random) -> Any:
    """Makes a schema of a value."""
    return rng.choice(
        [
            {"type": "string"}, {"type": "number"}, {"type": ["string", "null"]}, {"enum": ["x", 0, None]}, {},
            {"enum": ["xy"]}, {"type": "number", "minimum": 1}, {"type": "string", "minLength": 2},
            {"type": "string", "pattern": "^x"}, {"type": "boolean"}, {"type": "string", "format": "ipv4"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "array", "minItems": 1, "items": {"type": ["number", "string"]}},
            {"not": {"type": "string"}}, {"type": "array"}, {"not": {"type": ["object", "array"]}},
        ]
    )  # fmt: skip


def pick_schema(rng: Random, depth: int = 0) -> Any:
    """Makes a schema of an object, or below the top also of a value or an array of objects."""
    kind = rng.random()
    if depth > 2 or (depth and kind < 0.4):
        return pick_leaf(rng)
    if depth and kind < 0.55:
        return {"type": "array", "items": pick_schema(rng, depth + 1), "minItems": rng.choice([0, 1])}
    if depth < 3 and 0.55 < kind < 0.7:
        word = rng.choice(["oneOf", "anyOf", "allOf"])
        return {word: [pick_schema(rng, depth + 1 if depth else 0) for _ in range(2)]}
    if depth < 2 and kind > 0.95:
        return {"not": pick_schema(rng, depth + 1)}
    names = "ab" if depth == 0 else "cd"
    schema: dict[str, Any] = {"type": "object", "properties": {n: pick_schema(rng, depth + 1) for n in names}}
    if rng.random() < 0.6:
        schema["required"] = rng.sample(names, rng.choice([1, 2]))
    if rng.random() < 0.6:
        schema["additionalProperties"] = False
    if rng.random() < 0.1:
        del schema["type"]
    if rng.random() < 0.1 and depth == 0:
        schema["properties"]["a.c"] = pick_leaf(rng)
    return schema


def pick_condition(rng: Random) -> Any:
    return rng.choice(
        [
            "x", "xy", 0, 1.5, None, True, "10.0.0.1", "010.0.0.1",
            {"exists": True}, {"exists": False}, {"exists": False},
            {"prefix": "x"}, {"prefix": ""}, {"suffix": "y"}, {"anything-but": ["x"]}, {"anything-but": [0]},
            {"anything-but": {"prefix": "x"}}, {"numeric": [">", 0]}, {"numeric": [">=", 0, "<", 5]},
            {"wildcard": "x*"},
            {"equals-ignore-case": "X"}, {"prefix": {"equals-ignore-case": "X"}}, {"cidr": "10.0.0.0/8"},
            {"exactly": "x"},
            {"wildcard": "*\\*"}, {"anything-but": {"wildcard": "*"}},
            {"anything-but": {"equals-ignore-case": ["X", "Xy"]}},
        ]
    )  # fmt: skip


def pick_detail(rng: Random, depth: int = 0) -> dict[str, Any]:
    """Makes the pattern of a payload."""
    names = ["a", "b", "e", "A"] if depth == 0 else ["c", "d"]
    detail: dict[str, Any] = {}
    for name in rng.sample(names, rng.choice([1, 2])):
        if depth < 2 and rng.random() < 0.4:
            detail[name] = pick_detail(rng, depth + 1)
        else:
            detail[name] = [pick_condition(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
    if depth == 0 and rng.random() < 0.2:
        detail["$or"] = [pick_detail(rng, 1), {"b": [pick_condition(rng)]}]
    return detail


def cut(value: Any, keys: tuple[str | int, ...]) -> Any:
    """Returns the part of a pattern that keys lead to, with the objects and lists around it."""
    if not keys:
        return value
    key, *rest = keys
    if key == "$or":  # one alternative alone
        return cut(value["$or"][rest[0]], tuple(rest[1:]))
    part = cut(value[key], tuple(rest))
    return [part] if isinstance(key, int) else {key: part}


def add_references(schema: dict[str, Any], rng: Random) -> None:
    """Moves a part of a schema to a definition, which may refer to itself, and sets keywords beside the reference."""
    properties = schema.get("properties", {})
    if "a" not in properties or rng.random() < 0.5 or not isinstance(properties["a"], dict):
        return
    part = properties["a"]
    if rng.random() < 0.5 and "c" in part.get("properties", {}):
        part["properties"]["c"] = {"anyOf": [{"$ref": "#/$defs/part"}, part["properties"]["c"]]}
    if rng.random() < 0.3:
        part["not"] = {"properties": {"d": {"$ref": "#/$defs/part"}}, "required": ["d"]}
    schema["$defs"] = {"part": part}
    properties["a"] = {"$ref": "#/$defs/part"} | (pick_leaf(rng) if rng.random() < 0.3 else {})


def iter_cases(count: int, start: int = 0) -> Iterator[tuple[int, Random]]:
    for seed in range(start, start + count):
        yield seed, Random(seed)


def load(folder: Path, schema: Any, name: str) -> TypeSchema | None:
    (folder / name).mkdir()
    (folder / name / f"{name}.json").write_text(json.dumps(schema))
    compiled = Schemas([folder / name]).find(name, "s")
    assert compiled is not None
    return load_type(compiled, name, "s", "detail")


def check_claim(problem: PatternProblem, pattern: dict[str, Any], events: list[dict[str, Any]], context: Any) -> None:
    """Asserts that a finding holds for all valid events."""
    if problem.code in ("EV301", "EV306"):
        path = ".".join(key for key in problem.keys if isinstance(key, str) and key != "$or")
        found = [name for event in events for name in flatten_event(event) if f"{name}.".startswith(f"{path}.")]
        assert not found, (problem, context)
        return
    part = Pattern(cut(pattern, problem.keys))
    if problem.code == "EV305":
        assert all(map(part.matches, events)), (problem, context)
    elif "alternative of $or" in problem.message:
        return  # several conditions of one combination
    elif problem.severity == "error":
        whole = Pattern(pattern) if " together" in problem.message else part
        assert not any(map(whole.matches, events)), (problem, context)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 3000, 500))
def test_findings_hold_for_all_small_events(tmp_path: Path, start: int) -> None:
    """An impossible condition matches no valid event, and a certain one matches all."""
    claims = 0
    for seed, rng in iter_cases(500, start):
        schema = pick_schema(rng)
        add_references(schema, rng)
        if (draft := rng.choice(DRAFTS)) is not None:
            schema["$schema"] = draft
        type_schema = load(tmp_path, schema, f"t{seed}")
        pattern = {"source": ["s"], "detail-type": [f"t{seed}"], "detail": pick_detail(rng)}
        try:
            compiled = Pattern(pattern)
        except PatternError:
            continue
        problems = find_problems(compiled, [EventType(f"t{seed}", "s")], lambda *_, found=type_schema: found)
        if type_schema is None or not problems:
            continue
        validator = type_schema.compiled.validator
        frame = {"source": "s", "detail-type": f"t{seed}", "id": "1"}
        events = [{**frame, "detail": detail} for detail in DETAILS if validator.is_valid(detail)]
        events = [
            event for event in events if not any("." in name and name not in str(schema) for name in event["detail"])
        ]
        for problem in problems:
            if problem.severity == "note":
                continue
            claims += 1
            check_claim(problem, pattern, events, (seed, schema, pattern))
        certain = [problem.keys for problem in problems if problem.code == "EV305"]
        if certain and "$or" not in pattern["detail"]:
            check_has_no_effect(compiled, pattern, certain[0], events, (seed, schema, pattern))

    assert claims > 100  # else the cases say little


def check_has_no_effect(
    compiled: Pattern, pattern: dict[str, Any], keys: tuple[str | int, ...], events: list[Any], context: Any
) -> None:
    """Asserts that a pattern matches the same events without a certain condition, also in arrays of objects."""
    path = [key for key in keys if isinstance(key, str)]
    rest = json.loads(json.dumps(pattern))
    parent = rest
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    if not parent:
        return
    other = Pattern(rest)
    assert [compiled.matches(event) for event in events] == [other.matches(event) for event in events], context
