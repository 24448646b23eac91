"""Tests of containment of patterns, also with random patterns and events."""

import json
import random
from typing import Any

import pytest

from evtool.checks.pattern_containment import covers
from evtool.patterns.pattern import Pattern

STRINGS = ("a", "ab", "abc", "b", 'a"', "A", "10.0.0.1", "10.0.0.01", "")
NUMBERS = (0, 1, 1.5, 2, -1)
CONDITIONS = [
    *STRINGS,
    *NUMBERS,
    True,
    None,
    {"prefix": "a"},
    {"prefix": "ab"},
    {"prefix": ""},
    {"prefix": {"equals-ignore-case": "a"}},
    {"suffix": "b"},
    {"suffix": 'c"'},
    {"suffix": "ab"},
    {"wildcard": "a*"},
    {"wildcard": "*b"},
    {"wildcard": "a*b"},
    {"wildcard": "*"},
    {"equals-ignore-case": "AB"},
    {"anything-but": ["a", "b"]},
    {"anything-but": "a"},
    {"anything-but": [1]},
    {"anything-but": {"prefix": "a"}},
    {"numeric": [">", 0]},
    {"numeric": [">=", 1]},
    {"numeric": [">", 0, "<=", 2]},
    {"numeric": ["=", 1]},
    {"exists": True},
    {"exists": False},
    {"cidr": "10.0.0.0/8"},
    {"exactly": "ab"},
]
PATHS = (("source",), ("detail", "x"), ("detail", "items", "k"), ("detail", "items", "n"))


def make_pattern(rng: random.Random) -> dict[str, Any]:
    """Makes a pattern of a few fields with a few conditions each."""
    pattern: dict[str, Any] = {}
    for path in rng.sample(PATHS, rng.randint(1, 3)):
        target = pattern
        for step in path[:-1]:
            target = target.setdefault(step, {})
        target[path[-1]] = rng.sample(CONDITIONS, rng.randint(1, 2))
    if rng.random() < 0.2:
        return {"$or": [pattern, make_pattern(rng)]}
    return pattern


def make_event(rng: random.Random) -> dict[str, Any]:
    """Makes an event with values, arrays of values and arrays of objects. Its source is a string."""

    def value() -> Any:
        kind = rng.random()
        single = rng.choice([*STRINGS, *NUMBERS, True, None])
        return single if kind < 0.8 else [single, rng.choice(STRINGS)] if kind < 0.9 else {}

    def item() -> dict[str, Any]:
        return {name: value() for name in ("k", "n") if rng.random() < 0.7}

    detail: dict[str, Any] = {"x": value()} if rng.random() < 0.8 else {}
    if rng.random() < 0.9:
        detail["items"] = item() if rng.random() < 0.3 else [item() for _ in range(rng.randint(0, 3))]
    return {"source": rng.choice(STRINGS[:6]), "detail": detail}


@pytest.mark.slow
def test_an_outer_pattern_matches_all_random_events_of_an_inner_one() -> None:
    rng = random.Random(7)
    events = [json.dumps(make_event(rng)) for _ in range(150)]
    proven = 0
    for _ in range(6000):
        outer, inner = make_pattern(rng), make_pattern(rng)
        compiled = Pattern(outer), Pattern(inner)
        if covers(*compiled):
            proven += 1
            for event in events:
                assert compiled[0].matches(event) or not compiled[1].matches(event), (outer, inner, event)

    assert proven > 100


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"source": [{"prefix": "shop."}]}, {"source": ["shop.cart"], "detail": {"a": [1]}}),
        ({"source": [{"wildcard": "shop.*"}]}, {"source": [{"prefix": "shop.cart"}]}),
        ({"detail": {"a": [{"numeric": [">=", 5]}]}}, {"detail": {"a": [5, {"numeric": [">", 5, "<", 7]}]}}),
        ({"detail": {"a": [{"anything-but": "x"}]}}, {"detail": {"a": ["y", 5, {"anything-but": ["x", "z"]}]}}),
        ({"detail": {"a": [{"exists": True}]}}, {"detail": {"a": [{"cidr": "10.0.0.0/8"}]}}),
        ({"source": [{"prefix": ""}]}, {"detail-type": ["x"]}),
        ({"$or": [{"source": ["a"]}, {"source": ["b"]}]}, {"source": ["b"]}),
        ({"detail": {"a": [{"exists": False}]}}, {"detail": {"a": [{"exists": False}]}, "source": ["x"]}),
    ],
)
def test_ordinary_containment_is_proven(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    assert covers(Pattern(outer), Pattern(inner))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"source": ["shop.cart"]}, {"source": [{"prefix": "shop."}]}),
        ({"detail-type": [{"prefix": ""}]}, {"source": ["x"]}),  # a CloudEvent has no detail-type
        # of the elements without `kind`, only one with this `sku` counts for the inner pattern
        (
            {"detail": {"items": {"kind": [{"exists": False}]}}},
            {"detail": {"items": {"sku": ["a"], "kind": [{"exists": False}]}}},
        ),
        ({"detail": {"a": ["10.0.0.1"]}}, {"detail": {"a": [{"exactly": "10.0.0.2"}]}}),
        ({"detail": {"a": [{"wildcard": 'a"*'}]}}, {"detail": {"a": [{"prefix": 'a"'}]}}),
    ],
)
def test_containment_that_does_not_hold_is_not_proven(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    assert not covers(Pattern(outer), Pattern(inner))
