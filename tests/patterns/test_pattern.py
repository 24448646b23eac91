"""Event patterns: the meaning that they have on AWS, all problems at once, and no event that is slow to match."""

import json
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from evtool.errors import EvtoolError
from evtool.patterns.compiler import MAX_BRANCHES, MAX_FIELDS, MAX_LENGTH, PatternError, Problem
from evtool.patterns.flatten import flatten_event
from evtool.patterns.pattern import Pattern
from evtool.routes.routes import Route, Routes
from tests.conftest import ROOT

VECTORS = ROOT / "tests/vectors"


def vectors(name):
    return [json.loads(line) for line in (VECTORS / f"patterns-{name}.jsonl").read_text("utf-8").splitlines()]


def answer(pattern, event):
    try:
        return Pattern(pattern).matches(event)
    except PatternError:
        return "invalid"


def problems_of(pattern):
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    return caught.value.problems


@pytest.mark.parametrize(("name", "count"), [("aws", 157), ("curated", 458)])
def test_the_recorded_answers_of_aws_are_matched(name, count):
    rows = vectors(name)
    assert len(rows) == count
    answers = [(row["id"], answer(row["pattern_text"], row["event_text"])) for row in rows]
    assert answers == [(row["id"], row["expected"]) for row in rows]


@pytest.mark.parametrize(("name", "count"), [("aws", 157), ("curated", 458)])
def test_bytes_have_the_meaning_of_their_text(name, count):
    for row in vectors(name):
        got = answer(row["pattern_text"].encode(), row["event_text"].encode())
        assert (row["id"], got) == (row["id"], row["expected"])


def test_each_rule_matches_as_if_it_were_alone():
    """The event is read once for all rules."""
    rows = vectors("multirule")
    assert len(rows) == 76
    for row in rows:
        leaves = flatten_event(row["event_text"])
        got = [rule["name"] for rule in row["rules"] if Pattern(rule["pattern"]).matches_leaves(leaves)]
        assert (row["id"], sorted(got)) == (row["id"], sorted(row["expected"]))


def test_problems_have_the_messages_of_aws():
    """Only malformed JSON has a message of evtool."""
    rows = [row for row in vectors("curated") if row["expected"] == "invalid"]
    syntax = ("Unexpected character", "Illegal unquoted", "Invalid numeric value")
    checked = [row for row in rows if not row["error"].startswith(syntax)]
    assert len(checked) > 80
    for row in checked:
        assert problems_of(row["pattern_text"])[0].message == row["error"], row["id"]


def test_dicts_and_json_texts_have_the_same_meaning():
    """If a dict can hold the text."""
    for row in vectors("aws"):
        pattern, event = json.loads(row["pattern_text"]), json.loads(row["event_text"])
        assert answer(pattern, event) == row["expected"], row["id"]


# (pattern, event, whether it matches): rules that the recorded answers leave out
MEANINGS = [
    ('{"a":[{"equals-ignore-case":"ǅ"}]}', '{"a":"ǅ"}', False),
    ('{"a":[{"suffix":{"equals-ignore-case":"straße"}}]}', '{"a":"hauptSTRASSE"}', True),
    ('{"a":[{"prefix":{"equals-ignore-case":"ß"}}]}', '{"a":"SSx"}', True),
    ('{"a":[{"anything-but":{"equals-ignore-case":"K"}}]}', '{"a":"\u212a"}', True),
    ('{"a":[{"wildcard":"a*b*a"}]}', '{"a":"aba"}', True),
    ('{"a":[{"wildcard":"a*a"}]}', '{"a":"a"}', False),
    ('{"a":[{"wildcard":"a\\\\\\\\*"}]}', '{"a":"a\\\\b"}', True),
    ('{"a":[{"wildcard":"*ab*abc"}]}', '{"a":"ababc"}', True),
    ('{"a":["10.0.0.1"]}', '{"a":"010.000.0.1"}', True),
    ('{"a":[{"exactly":"10.0.0.1"}]}', '{"a":"010.000.0.1"}', False),
    ('{"a":[{"anything-but":"10.0.0.1"}]}', '{"a":"010.0.0.1"}', True),
    ('{"a":[{"cidr":"10.0.0.0/+08"}]}', '{"a":"10.9.9.9"}', True),
    ('{"a":[{"cidr":"::/0"}]}', '{"a":"255.255.255.255"}', False),
    ('{"a":[{"cidr":"::/0"}]}', '{"a":"0.0.0.0"}', False),
    ('{"a":["32.1.13.184"]}', '{"a":"2001:db8::1"}', True),
    ('{"a":[{"prefix":"abc\\""}]}', '{"a":"abc"}', True),
    ('{"a":[{"suffix":"\\"abc"}]}', '{"a":"abc"}', True),
    ('{"a":[{"equals-ignore-case":"😀"}]}', '{"a":"😀"}', False),
    ('{"a":[0]}', '{"a":1e-99999999999999999999}', False),
    ('{"a":[9007199254740993]}', '{"a":9007199254740993.0}', False),
    ('{"a":[{"anything-but":5}]}', '{"a":123456789012345678901}', True),
    ('{"a":[0]}', '{"a":1e-400}', False),
    ('{"d":{"a":[{"exists":false}],"b":[2]}}', '{"d":[{"a":1},{"b":2}]}', False),
    ('{"d":{"b":[2],"a":[{"exists":false}]}}', '{"d":[{"a":1},{"b":2}]}', False),
    ('{"d":{"a":[1],"b":[{"exists":false}]}}', '{"d":[{"a":1},{"b":2}]}', True),
    ('{"d":{"a":[1],"b":[{"exists":false},2]}}', '{"d":[{"a":1,"b":3},{"a":1,"b":2}]}', True),
    ('{"o":{"k":[1],"v":[2]}}', '{"o":[{"k":1}],"o.v":2}', True),
    ('{"o":{"k":[1],"v":[2]}}', '{"o":[{"k":1}],"o":[{"v":2}]}', True),
    ('{"o":{"k":[1],"v":[2],"z":[3]}}', '{"o":[{"k":1,"z":3}],"o":[{"v":2}]}', True),
    ('{"o":{"k":[1],"v":[2],"z":[3]}}', '{"o":[{"k":1},{"z":3}],"o":[{"v":2}]}', False),
    ('{"o":[1],"o-x":{"y":[2]},"o.k":[4]}', '{"o":[[1],[{"k":4}]],"o-x":[{"y":2}]}', False),
    ('{"o":[1],"o-x":{"y":[2]},"o.k":[4]}', '{"o":[[1,{"k":4}],[3]],"o-x":[{"y":2}]}', True),
    ('{"a":{"x":[1],"y":[2]},"b":{"x":[1],"y":[2]}}', '{"a":[{"x":1,"y":2}],"b":[{"x":1},{"y":2}]}', False),
    ('{"":{"a":[1]}}', '{"a":1}', True),
    ('{"a":{"b":[1]},"a":{"c":[2]}}', '{"a":{"c":2}}', False),
    ('{"$or":[{"a":[1]},{"b":[2]}],"$or":[{"c":[3]},{"d":[4]}]}', '{"b":2}', False),
    ('{"$or":[{"a":[1]},{"b":[2]}],"$or":[{"c":[3]},{"d":[4]}]}', '{"b":2,"c":3}', True),
]


@pytest.mark.parametrize(("pattern", "event", "expected"), MEANINGS)
def test_a_detail_of_the_language_holds(pattern, event, expected):
    assert Pattern(pattern).matches(event) is expected


def test_python_numbers_compare_by_value():
    """Whatever their type; but a bool is not a number."""
    pattern = Pattern({"a": [300]})
    assert all(pattern.matches({"a": value}) for value in (300, 300.0, Decimal("3e2")))
    assert not any(pattern.matches({"a": value}) for value in ("300", True, float("nan"), 10**5000))
    assert Pattern({"a": [1]}).matches({"a": 1})
    assert not Pattern({"a": [1]}).matches({"a": True})
    assert Pattern({"a": [10**5000]}).matches({"a": 10**5000})


def test_all_problems_are_reported_at_once():
    """Each with a code, a path and, if possible, a hint."""
    pattern = {
        "source": "shop",
        "detail": {"total": [{"numerik": [">", 1]}, {"numeric": [">", "1"]}], "none": []},
        "$or": [{"prefix": ["a"]}, 5],
    }
    assert problems_of(pattern) == (
        Problem("EV201", ("source",), '"source" must be an object or an array', 'write the values as a list: ["shop"]'),
        Problem(
            "EV202", ("detail", "total", 0, "numerik"), "Unrecognized match type numerik", 'did you mean "numeric"?'
        ),
        Problem(
            "EV203",
            ("detail", "total", 1, "numeric", 1),
            "Value of > must be numeric",
            "write the number without quotes",
        ),
        Problem("EV201", ("detail", "none"), "Empty arrays are not allowed"),
        Problem(
            "EV201", ("$or", 0, "prefix"), "prefix is Ruler reserved fieldName which cannot be used inside $or.", None
        ),
        Problem("EV201", ("$or", 1), "Only JSON object is allowed in array of $or relationship."),
    )


def test_the_error_has_path_message_and_hint():
    with pytest.raises(EvtoolError, match=r"detail\.state\.0\.Prefix: Unrecognized match type Prefix \(did you mean"):
        Pattern({"detail": {"state": [{"Prefix": "x"}]}})


@pytest.mark.parametrize(
    ("condition", "path", "message"),
    [
        ({"anything-but": {"prefix": ["a", ""]}}, ("anything-but", "prefix", 1), "Null prefix/suffix not allowed"),
        ({"anything-but": {"wildcard": []}}, ("anything-but", "wildcard"), "Empty arrays are not allowed"),
        ({"anything-but": ["x", 1e400]}, ("anything-but", 1), "Cannot compare number : inf"),
        ({"prefix": {"equals-ignore-case": 1}}, ("prefix", "equals-ignore-case"), "equals-ignore-case match pattern"),
        ({"suffix": {"prefix": "x", "y": 1}}, ("suffix", "prefix"), "Unsupported suffix pattern: prefix"),
        ({"prefix": "x", "suffix": "y"}, ("suffix",), "Only one key allowed in match expression"),
        ({"numeric": ["=", 1], "prefix": "y"}, ("prefix",), "Too many elements in numeric expression"),
        ({"numeric": []}, ("numeric",), "Invalid member in numeric match: ]"),
        ({"numeric": ["="]}, ("numeric",), "Value of equals must be numeric"),
        ({"numeric": [">", 1, None]}, ("numeric", 2), "Bad value in numeric range: null"),
        ({"wildcard": "é**"}, ("wildcard",), "Consecutive wildcard characters at pos 3"),
        ({"cidr": "1:2/3"}, ("cidr",), "Invalid IP address: 1:2"),
        ({"exactly": 1}, ("exactly",), "exact match pattern must be a string"),
        ([1], (), "Match value must be String, number, true, false, or null"),
        (object(), (), "Match value must be String, number, true, false, or null"),
    ],
)
def test_a_problem_inside_an_operator_has_its_path(condition, path, message):
    (problem,) = problems_of({"a": ["fine", condition]})
    assert problem.path == ("a", 1, *path)
    assert problem.message.startswith(message)


def test_only_patterns_beyond_a_limit_are_refused():
    fields = {f"f{number}": [1] for number in range(MAX_FIELDS)}
    ors = {"$or": [{f"a{n}": [1]} for n in range(100)], "detail": {"$or": [{f"b{n}": [1]} for n in range(10)]}}
    assert len(Pattern(ors).branches) == MAX_BRANCHES
    assert Pattern(fields).branches
    assert Pattern('{"a":["%s"]}' % ("x" * (MAX_LENGTH - 10))).branches
    beyond = [
        {**fields, "more": [1]},
        {**ors, "$or": [*ors["$or"], {"z": [1]}]},
        "{" + ",".join(['"$or":[{"a":[1]},{"b":[2]}]'] * 100) + "}",
        '{"a":["%s"]}' % ("x" * (MAX_LENGTH - 9)),
        {"a": [{"wildcard": "*:*:*:*:*:event-bus/*"}]},
        {"a": [{"wildcard": "*:*:*"}, {"anything-but": {"wildcard": ["*:*:*", "x*"]}}]},
    ]
    assert [problem.code for pattern in beyond for problem in problems_of(pattern)] == ["EV204"] * len(beyond)


# computed by event-ruler 2.1.0: whether it is more than 10
@pytest.mark.parametrize(
    ("wildcard", "refused"),
    [
        ("*:*:*:*:*", False),
        ("*aaaaaaaa*", False),
        ("*aaaaaaaaa*", True),
        ("*:*:*:*:*:*", True),
        ("*ab*ab*ab*ab*", False),
        ("*a*a*a*a*a*a*", True),
        ("*:*:*:*:*:x", False),
        ("/Users/*/dir/dir/dir/dir/dir/doc.txt", False),
    ],
)
def test_wildcards_are_refused_if_more_than_ten_beginnings_match(wildcard, refused):
    assert (answer({"a": [{"wildcard": wildcard}]}, {}) == "invalid") is refused


def exclude_all(*wildcards):
    return [{"anything-but": {"wildcard": list(wildcards)}}]


ENDINGS = [
    f"*.{ending}"
    for ending in [
        "jpg",
        "png",
        "gif",
        "pdf",
        "txt",
        "doc",
        "zip",
        "tar",
        "csv",
        "xml",
        "mp3",
        "mp4",
        "avi",
        "mov",
        "exe",
        "dll",
        "log",
    ]
]


# computed by event-ruler 2.1.0: whether it is more than 10
@pytest.mark.parametrize(
    ("conditions", "refused"),
    [
        (exclude_all("*/lib/*", "*/bin/*", "*/tmp/*", "*/var/*"), False),
        (exclude_all("*error*", "*warn*", "*fatal*", "*panic*", "*crash*"), False),
        (
            exclude_all(
                *(f"*{word}*" for word in ["error", "warn", "fatal", "panic", "crash", "oops", "halt", "stop"])
            ),
            True,
        ),
        (exclude_all(*ENDINGS), False),
        (exclude_all("*aaa*", "*aab", "*aac", "*aad*"), True),
        (exclude_all("*111*", "*112", "*113", "*114*"), False),
        ([{"wildcard": ending} for ending in ENDINGS[:5]], False),
        ([{"wildcard": ending} for ending in ENDINGS[:6]], True),
        ([*exclude_all(*ENDINGS), {"wildcard": "*.jpg"}, {"wildcard": "*.gif"}], False),
        (exclude_all("*:*:*") + exclude_all("*:*:*", "a"), False),
        (exclude_all("*:*:*") + exclude_all("*:*:*", "a") + [{"wildcard": "*:*"}], True),
    ],
)
def test_wildcards_share_beginnings_within_a_condition_only(conditions, refused):
    assert (answer({"a": conditions}, {}) == "invalid") is refused


# answers of event-ruler 2.1.0
@pytest.mark.parametrize(
    ("block", "taken", "not_taken"),
    [
        ("0.0.0.0/0", ["5", "300", "9.5", "1e308", "12345678901234567890"], ["0", "-5", "0.1", "true", "null", '"5"']),
        ("::/0", ["5", "300"], ["0", "-5"]),
        ("0.0.0.0/2", ["300", "39"], ["3", "3.5", "5"]),
        ("64.0.0.0/2", ["5"], ["300"]),
        ("18.52.0.0/16", ["12345", "123400001"], ["1234", "12350"]),
        ("18.52.86.120/31", ["12345678", "123456781"], ["12345670", "123456"]),
    ],
)
def test_a_block_of_addresses_matches_the_numbers_of_aws(block, taken, not_taken):
    """Alone and together with other routes."""
    pattern = Pattern({"a": [{"cidr": block}]})
    routes = Routes([Route("block", pattern, ("h",)), Route("other", Pattern({"a": [{"prefix": "x"}]}), ("h",))])
    for number in [*taken, *not_taken]:
        assert pattern.matches(f'{{"a":{number}}}') is (number in taken), number
        assert bool(routes.match_checked(f'{{"a":{number}}}')) is (number in taken), number


@pytest.mark.parametrize(
    "event",
    ["[1]", "null", "", " ", '{"a":}', '{"a":NaN}', b'{"a":"\xff"}', [], None, {"a": object()}, "[" * 100_000],
)
def test_other_values_than_json_objects_are_refused(event):
    """With an error that is an EvtoolError and a ValueError."""
    with pytest.raises(EvtoolError, match="the event is ") as caught:
        Pattern({"a": [1]}).matches(event)
    assert isinstance(caught.value, ValueError)


def test_a_hostile_pattern_is_a_pattern_error():
    """Deep nesting and malformed JSON do not crash."""
    deep = pattern = {}
    for _ in range(5000):
        deep["a"] = deep = {}
    deep["a"] = [1]
    for source in (pattern, '{"a":' * 800, "[" * 100_000, b"\xff", '{"a":[NaN]}', "\ufeff{}", 5, None):
        assert answer(source, {}) == "invalid"


def test_the_paths_of_a_pattern_decide():
    """Reading only these fields gives the same answer as reading the whole event."""
    for row in vectors("curated"):
        if row["expected"] != "invalid":
            pattern = Pattern(row["pattern_text"])
            assert pattern.matches_leaves(flatten_event(row["event_text"])) is row["expected"], row["id"]
    leaves = flatten_event({"a": {"b": 1, "c": 2}, "d": 3}, Pattern({"a": {"b": [5]}}).paths)
    assert list(leaves) == ["a.b"]


def test_a_compiled_pattern_is_data():
    """It has the paths, operators and values, and the tests for the values."""
    pattern = Pattern('{"d":{"n":[3.0,{"numeric":[">",5]}]},"a":[{"exists":false}]}')
    (branch,) = pattern.branches
    assert [(field.path, field.can_be_absent) for field in branch] == [("a", True), ("d.n", False)]
    assert [(c.operator, c.expected) for c in branch[1].conditions] == [("equals", 3.0), ("numeric", [">", 5])]
    (leaf,) = flatten_event('{"d":{"n":6}}')["d.n"]
    assert [condition.test(leaf.value) for condition in branch[1].conditions] == [False, True]


def deep_array(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


LARGE = 10_000
LARGE_EVENTS = [
    # every element fails on its own
    ({"o": {"a": [1], "b": [2]}}, {"o": [{"a": 1, "b": 0}, {"a": 0, "b": 2}] * (LARGE // 2)}, False),
    # arrays that are independent of each other multiply when all ways are tried
    (
        {"o": {"a": [1]}, "p": {"a": [1], "b": [2]}},
        {"o": [{"a": 1}] * LARGE, "p": [{"a": 1}, {"b": 2}] * (LARGE // 2)},
        False,
    ),
    (
        {"o": {"a": [1], "b": [2]}, "p": {"a": [1], "b": [2]}},
        {"o": [{"a": 1, "b": 2}] * LARGE, "p": [{"a": 1}, {"b": 2}] * (LARGE // 2)},
        False,
    ),
    # one long array inside an element
    ({"o": {"i": {"a": [1], "b": [2]}}}, {"o": [{"i": [{"a": 1}, {"b": 2}] * (LARGE // 2)}]}, False),
    ({"o": {"a": [1], "b": [{"exists": False}]}}, {"o": [{"a": 1, "b": 2}] * LARGE}, False),
    (
        {"o": {"a": [1], "b": [2]}, "p": {"a": [1], "b": [2]}},
        {"o": [{"a": 1, "b": 2}] * LARGE, "p": [{"a": 1}, {"b": 2}] * (LARGE // 2) + [{"a": 1, "b": 2}]},
        True,
    ),
    # an array reached by two spellings, where all pairs of elements would have to be tried
    (
        {"o": {"m": {"u": [1], "v": [1], "w": [1], "z": [1]}}},
        {"o": [{"m": {"u": 1, "v": 1}}] * LARGE, "o.m": [{"u": 1, "v": 1}] * LARGE + [{"w": 1}, {"z": 1}]},
        False,
    ),
    ({"r": [2]}, {"r": list(range(10, LARGE))}, False),
    ({"r": [1]}, {"r": deep_array(2000)}, True),
    ({"a": [{"wildcard": "*a*b*c"}]}, {"a": "ab" * 500_000}, False),
]


@pytest.mark.parametrize(("pattern", "event", "expected"), LARGE_EVENTS)
def test_matching_large_events_takes_under_a_second(pattern, event, expected):
    compiled = Pattern(pattern)
    started = time.process_time()
    assert compiled.matches(event) is expected
    assert time.process_time() - started < 2


def test_patterns_load_no_other_packages():
    slow = ("pydantic", "dataclasses", "ipaddress")
    code = f"import sys, evtool.patterns.pattern; print(*(m for m in {slow} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_a_repeated_wildcard_is_not_more_complex():
    """As in AWS's engine."""
    wildcards = [{"wildcard": "*:*:*"}, {"wildcard": "*:*:*"}, {"wildcard": "*:*:*b"}]
    assert Pattern({"a": wildcards}).matches({"a": "1:2:3"})
    with pytest.raises(PatternError, match="too complex"):
        Pattern({"a": [*wildcards, {"anything-but": {"wildcard": "*:*:*"}}]})
