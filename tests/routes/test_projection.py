"""Routing in bulk: the fields that are decoded for the patterns give the same routes as the whole event."""

import json

import pytest

from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import explain
from evtool.patterns.flatten import EventError
from evtool.patterns.pattern import Pattern
from evtool.routes.index import MAX_CACHED_LENGTH, MAX_CACHED_STRINGS
from evtool.routes.projection import MAX_ARRAY_DEPTH, MAX_PATH_NAMES, MAX_PROJECTED_FIELDS
from evtool.routes.routes import Route, Routes
from tests.routes import test_index
from tests.routes.test_index import VECTORS, Dice, valid

SETS = 150


def routes_of(patterns):
    """Returns routes whose names are the numbers of their patterns."""
    return Routes([Route(f"{number}", pattern, ("handler",)) for number, pattern in enumerate(patterns)])


def names(routes):
    """Returns the numbers of routes."""
    return [int(route.name) for route in routes]


def agree(patterns, text):
    """Asserts that routes match an event, as text and as a dict, like each pattern alone. Returns the numbers that
    match.
    """
    routes, document = routes_of(patterns), json.loads(text)
    one_by_one = [number for number, pattern in enumerate(patterns) if pattern.matches(text)]
    for _ in range(2):  # the second time it is known where the arrays are
        assert names(routes.match_checked(text)) == one_by_one
        assert names(routes.match_checked(text.encode())) == one_by_one
        assert names(routes.match(text)) == one_by_one
    by_document = [number for number, pattern in enumerate(patterns) if pattern.matches(document)]
    assert names(routes.match(document)) == by_document
    structure = read_structure(text)
    assert [number for number, pattern in enumerate(patterns) if explain(pattern, structure).matches] == one_by_one
    return one_by_one


def has_unique_keys(text):
    """Returns whether a text is a JSON object without duplicate keys, which publishing accepts."""

    def pairs(items):
        if len(dict(items)) < len(items):
            raise ValueError
        return dict(items)

    try:
        return isinstance(json.loads(text, object_pairs_hook=pairs), dict)
    except ValueError:
        return False


def test_vectors():
    """All patterns with recorded answers are one set of routes. Events with duplicate keys are left out."""
    rows = [json.loads(line) for file in VECTORS.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    texts = [text for text in dict.fromkeys(row["event_text"] for row in rows) if has_unique_keys(text)]
    patterns = valid(dict.fromkeys(row["pattern_text"] for row in rows if "pattern_text" in row))
    routes = routes_of(patterns)
    assert (len(patterns), len(texts)) > (300, 300)
    taken = 0
    for text in texts:
        found = names(routes.match_checked(text))
        assert found == [number for number, pattern in enumerate(patterns) if pattern.matches(text)], text
        taken += len(found)
    assert taken > 1_000


@pytest.mark.slow
def test_random_rules_route_like_each_rule_alone():
    """The rules use all operators, the events have arrays of objects."""
    taken = 0
    for seed in range(SETS):
        dice = Dice(seed)
        patterns = [dice.pattern() for _ in range(20)]
        for text in (dice.event() for _ in range(10)):
            if has_unique_keys(text):
                taken += len(agree(patterns, text))
    assert taken > 300


UNUSUAL_NAMES = [
    *(
        'a"b',
        "a\\b",
        "\x00",
        "\n",
        "\x1f",
        "\x7f",
        "\ud800",
        "x\udc00",
        "\ud83d",
        "",
        ".",
        "..",
        "a.",
        ".a",
        "a..b",
        " ",
    ),
    *("\u2028", "\ufeff", "\uffff", "😀", "$or", "f0", "__class__", "prefix", "=", "0", "x" * 5000),
]


@pytest.mark.parametrize("name", UNUSUAL_NAMES, ids=ascii)
def test_every_field_name_of_json_can_be_used(name):
    """At the top and in objects, together with routes with other names."""
    event = json.dumps({name: "x", "detail": {name: 1, "n": 2}})
    elements = json.dumps({name: ["y", "x"], "detail": [{name: 1}, {"n": 2}]})
    if name == "$or":
        assert agree([Pattern({"detail": {"n": [2]}})], event) == [0]
        return
    patterns = [Pattern({"detail": {"n": [2]}}), Pattern({name: ["x"]}), Pattern({"detail": {name: [1], "n": [2]}})]
    taken = agree(patterns, event)
    assert taken == [0, 1, 2] or "" in name.split(".")
    assert agree(patterns, elements) == taken[:2]


def test_random_rules_with_unusual_names(monkeypatch):
    """They route and explain random events like each rule alone."""
    monkeypatch.setattr(test_index, "NAMES", [json.dumps(name)[1:-1] for name in ["a", *UNUSUAL_NAMES[:16]]])
    taken = 0
    for seed in range(SETS):
        dice = Dice(seed)
        patterns = [dice.pattern() for _ in range(10)]
        taken += sum(len(agree(patterns, text)) for text in (dice.event() for _ in range(5)) if has_unique_keys(text))
    assert taken > 100


FIELDS = [
    {"a": {"b": ["x"]}},
    {"a": {"b": [1]}},
    {"a": {"b": {"c": ["x"]}}},
    {"a": {"b": [{"exists": False}]}},
    {"a": {"b": [{"exists": True}]}},
    {"a": {"b": {"c": [{"anything-but": "x"}]}}},
    {"a": {"b": ["x"], "d": ["y"]}},
    {"a": {"e": {"f": ["x"], "g": ["y"]}}},
    {"a": {"e": {"f": ["x"], "g": [{"exists": False}]}}},
    {"h": [None, True]},
    {"h": [{"numeric": ["<", 5]}]},
]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"a":null}',
        '{"a":"x"}',
        '{"a":[]}',
        '{"a":{"b":"x"}}',
        '{"a":{"b":["x"]}}',
        '{"a":{"b":[["x"],[]]}}',
        '{"a":{"b":{"c":"x"}}}',
        '{"a":{"b":[{"c":"x"},"x",1]}}',
        '{"a":{"b":{"c":[{"d":1},"y"]}}}',
        '{"a.b":"x"}',
        '{"a.b.c":"x"}',
        '{"a":{"b.c":"x"}}',
        '{"a.b":{"c":"x"}}',
        '{"a":{"b":"y"},"a.b":"x"}',
        '{"a":[{"b":"x"},{"d":"y"}]}',
        '{"a":[{"b":"x","d":"y"}]}',
        '{"a":[[[{"b":"x","d":"y"}]]]}',
        '{"a":{"e":[{"f":"x"},{"g":"y"}]}}',
        '{"a":{"e":[{"f":"x"},{"f":"x","g":"y"},null,3]}}',
        '{"a":{"e":[[{"f":"x"}],[{"g":"y"}]]}}',
        '{"a":{"e":' + "[" * (MAX_ARRAY_DEPTH + 2) + '{"f":"x","g":"y"}' + "]" * (MAX_ARRAY_DEPTH + 2) + "}}",
        '{"\\u0061":{"\\u0062":"\\u0078"}}',
        '{"a":{"":{"b":"x"},"b":1.0}}',
        '{"a":{"b":1e0}}',
        '{"a":{"b":1.00000000000000000001}}',
        '{"a":{"b":10000000000000000000000}}',
        '{"h":true}',
        '{"h":1}',
        '{"h":[null]}',
        '{"h":[[],[true,"x"]]}',
        '{"h":[1.5,1e400,-0,12345678901234567890]}',
        '{"h":{}}',
    ],
)
def test_unexpected_values_on_the_path_to_a_field_are_handled(text):
    """Missing fields, other types, arrays, and names with dots."""
    patterns = [Pattern(field) for field in FIELDS]
    alone = [number for number, pattern in enumerate(patterns) if agree([pattern], text)]
    assert agree(patterns, text) == alone


@pytest.mark.parametrize("value", ["2", "2.0", "2e0", "20E-1", "-0.0", "16777217", "1234567890.1234567", "0.1", "1e-7"])
def test_equal_numbers_match_in_every_form(value):
    """Alone and in arrays."""
    patterns = [Pattern(f'{{"a":{{"n":[{value}]}}}}'), Pattern({"a": {"n": [{"numeric": [">", -1]}]}})]
    for event in (f'{{"a":{{"n":{value}}}}}', f'{{"a":[{{"n":7}},{{"n":{value}}}]}}', f'{{"a":{{"n":["x",{value}]}}}}'):
        assert agree(patterns, event) == [0, 1]


def test_fields_beyond_the_limits_of_the_projection_are_routed():
    """Empty names, very long paths, and very many fields."""
    deep = ["x"]
    for _ in range(MAX_PATH_NAMES + 1):
        deep = {"a": deep}
    event = json.dumps({"": "x", "b": "y", **json.loads(json.dumps(deep).replace('["x"]', '"x"'))})
    assert agree([Pattern({"": ["x"]}), Pattern(deep), Pattern({"b": ["y"]})], event) == [0, 1, 2]
    many = [Pattern({f"f{number}": [number]}) for number in range(MAX_PROJECTED_FIELDS + 1)]
    assert agree(many, '{"f7":7,"f1000":1000}') == [7, 1000]


def test_a_python_dict_is_routed_like_its_json():
    """Tuples are arrays and numbers as keys are strings. A value that JSON does not have raises EventError."""
    routes = routes_of([Pattern({"a": {"b": ["x"]}}), Pattern({"1": [2]}), Pattern({"n": [{"numeric": [">", 1]}]})])
    assert names(routes.match({"a": ({"b": "x"},)})) == [0]
    assert names(routes.match({1: 2})) == [1]
    assert names(routes.match({"n": float("inf")})) == []
    with pytest.raises(EventError):
        routes.match({"a": {"b": object()}})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":}', '"x"', "null"])
def test_text_that_is_not_an_event_raises_event_error(text):
    """What is no event raises an EventError, and nothing else."""
    with pytest.raises(EventError):
        routes_of([Pattern({"a": ["x"]})]).match_checked(text)


def test_the_cache_of_the_index_is_bounded():
    """It has at most `MAX_CACHED_STRINGS` strings, and no long ones."""
    routes = routes_of([Pattern({"a": [{"prefix": "x"}]}), Pattern({"a": [{"suffix": "7"}]})])
    for number in range(MAX_CACHED_STRINGS * 2):
        assert names(routes.match({"a": f"x{number}"})) == [0, 1] if number % 10 == 7 else [0]
    assert names(routes.match({"a": "x" * (MAX_CACHED_LENGTH + 1)})) == [0]
    (look,) = routes._router._index._root.path_lookups
    assert len(look.cache) <= MAX_CACHED_STRINGS
    assert max(map(len, look.cache)) <= MAX_CACHED_LENGTH


def test_arrays_in_objects_in_arrays():
    """An array in a field stays an array, also in the objects of another array."""
    patterns = [Pattern({"a": {"n": [2]}}), Pattern({"a": {"n": [12000]}})]
    assert agree(patterns, '{"a":[{"n":[0,[1,2],3]},{"n":[0,[1,2],3]}]}') == [0]
    assert agree(patterns, '{"a":[{"n":[0,[1,2]]},{},{"n":"x"}]}') == [0]
