"""Unknown values in patterns: what they leave undecided, and that no answer is wrong for any of their values."""

import json
import random

import pytest

from evtool.patterns.compiler import PatternError
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import explain
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown
from evtool.routes.router import Router
from evtool.routes.routes import Route, Routes

X = Unknown("!Ref X")
ORDER = {
    "source": "shop",
    "detail": {"total": 5, "items": [{"sku": "A", "count": 1}, {"sku": "B"}], "buyer": {"id": "joe"}},
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": [X]}, None),
        ({"source": ["shop", X]}, True),
        ({"source": ["web", X]}, None),
        ({"region": [X]}, None),
        ({"source": [{"prefix": X}]}, None),
        ({"source": [{"anything-but": ["shop", X]}]}, None),
        ({"source": [{"anything-but": {"prefix": X}}]}, None),
        ({"detail": {"total": [{"numeric": [">", X]}]}}, None),
        ({"detail": {"total": [{"exists": X}]}}, None),
        ({"source": X}, None),
        ({"detail": X}, None),
        ({"detail": {"buyer": X}}, None),
        ({"source": ["web"], "detail": X}, False),
        ({"source": ["shop"], "detail": X}, None),
        ({"source": ["web"], "detail": {"total": [X]}}, False),
        ({"$or": [{"source": ["shop"]}, {"source": [X]}]}, True),
        ({"$or": [{"source": ["web"]}, {"source": [X]}]}, None),
        ({"$or": [{"source": ["web"]}, {"source": ["app"], "detail": {"total": [X]}}]}, False),
        ({"$or": [{"source": ["web"]}, X]}, None),
        ({"$or": [{"source": ["shop"]}, X]}, True),
        ({"$or": X}, None),
        ({"detail": {"total": [5], "$or": X}}, None),  # it may have another condition for the total
        ({"detail": {"$or": X, "total": [6]}}, False),
        ({"source": ["web"], "detail": {"$or": X}}, False),
        (X, None),
        ({"detail": {"items": {"sku": ["A"], "count": [X]}}}, None),
        ({"detail": {"items": {"sku": ["C"], "count": [X]}}}, False),
        ({"detail": {"items": {"a": [X], "count": [{"exists": False}]}}}, None),  # in the element of B it is absent
        ({"detail": {"buyer": {"a": [X], "id": [{"exists": False}]}}}, False),
    ],
)
def test_an_event_is_undecided_if_unknown_values_decide(pattern, expected):
    assert Pattern(pattern).matches(ORDER) is expected


def test_a_pattern_lists_its_unknown_values_once():
    """Each condition also has its unknown value."""
    pattern = Pattern({"source": ["a", X], "detail": {"b": [{"prefix": Unknown("${var.b}")}], "c": [X], "d": [1]}})

    assert [unknown.source for unknown in pattern.unknowns] == ["${var.b}", "!Ref X"]
    assert {field.path: field.unknown for (branch,) in [pattern.branches] for field in branch} == {
        "detail.b": Unknown("${var.b}"),
        "detail.c": X,
        "detail.d": None,
        "source": X,
    }
    assert [[condition.unknown for condition in field.conditions] for field in pattern.branches[0]][-1] == [None, X]
    assert pattern.branches[0][0].keys == ("detail", "b")


def test_a_pattern_without_unknown_values_has_one_set_of_branches():
    pattern = Pattern({"source": ["a"]})

    assert pattern.possible is pattern.certain
    assert pattern.unknowns == ()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ({"source": [X, {"prefixx": X}]}, "source.1.prefixx: Unrecognized match type prefixx"),
        ({"source": [{"prefix": X, "suffix": "a"}]}, "source.0.suffix: Only one key allowed in match expression"),
        ({"source": [[X]]}, "source.0: Match value must be String, number, true, false, or null"),
        ({"source": [X], "detail": {"a": "b"}}, 'detail.a: "a" must be an object or an array'),
        ({"$or": [X]}, "$or: There must have at least 2 Objects in $or relationship."),
    ],
)
def test_problems_are_reported_despite_unknown_values(pattern, message):
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)

    assert message in str(caught.value)


# --- random patterns -------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c")
VALUES = ("x", "y", 1, 2, None)
CONDITIONS = (
    *VALUES,
    {"prefix": "x"},
    {"anything-but": ["x"]},
    {"numeric": [">", 1]},
    {"exists": True},
    {"exists": False},
)
ARGUMENTS = {
    "prefix": lambda rng: rng.choice("xy"),
    "anything-but": lambda rng: rng.choice(["x", ["x", "y"], 1, {"prefix": "x"}, {"suffix": ["y"]}]),
    "numeric": lambda rng: [rng.choice(["<", ">", "="]), rng.choice([0, 1, 2])],
    "exists": lambda rng: rng.choice([True, False]),
}


class Made:
    """A random pattern with unknown values, and the possible values of each."""

    def __init__(self, rng, *, unknown_elements_only=False):
        self._rng, self._elements_only = rng, unknown_elements_only
        self._choices = {}
        self.pattern = self._build_pattern()

    def _leave_unknown(self, choose):
        unknown = Unknown(f"u{len(self._choices)}")
        self._choices[unknown] = choose
        return unknown

    def _is_unknown(self, chance):
        return self._rng.random() < chance

    def _build_pattern(self):
        return self._build_object(2, chance=0 if self._elements_only else 0.03, top=True)

    def _build_object(self, depth, chance, top=False):
        rng = self._rng
        if self._is_unknown(chance):
            return self._leave_unknown(lambda: build_known(rng, "object"))
        result = {}
        for name in rng.sample(NAMES, rng.choice([1, 1, 1, 2])):
            nested = depth and rng.random() < (0.8 if top else 0.4)
            chance = 0 if self._elements_only else 0.08
            result[name] = self._build_object(depth - 1, chance) if nested else self._build_list(chance)
        if depth and rng.random() < 0.25:
            chance = 0 if self._elements_only else 0.08
            result["$or"] = (
                self._leave_unknown(lambda: [build_known(rng, "object"), build_known(rng, "object")])
                if self._is_unknown(chance / 2)
                else [self._build_object(depth - 1, chance) for _ in range(2)]
            )
        return result

    def _build_list(self, chance):
        rng = self._rng
        if self._is_unknown(chance):
            return self._leave_unknown(lambda: build_known(rng, "value"))
        return [self._build_condition() for _ in range(rng.choice([1, 2, 3]))]

    def _build_condition(self):
        rng = self._rng
        if self._is_unknown(0.25):
            return self._leave_unknown(lambda: rng.choice(CONDITIONS))
        if not self._elements_only and self._is_unknown(0.15):
            name = rng.choice(list(ARGUMENTS))
            return {name: self._leave_unknown(lambda: ARGUMENTS[name](rng))}
        return rng.choice(CONDITIONS)

    def substitute(self):
        """Returns the pattern with a random value in place of each unknown one."""
        return self._replace(self.pattern)

    def _replace(self, value):
        if isinstance(value, Unknown):
            return self._choices[value]()
        if isinstance(value, dict):
            return {key: self._replace(item) for key, item in value.items()}
        return [self._replace(item) for item in value] if isinstance(value, list) else value


def build_known(rng, kind):
    """Returns a random list of conditions, or an object, without unknown values."""
    if kind == "value" and rng.random() < 0.5:
        return [rng.choice(CONDITIONS) for _ in range(rng.choice([1, 2]))]
    return {name: build_known(rng, "value") for name in rng.sample(NAMES, rng.choice([1, 1, 2]))}


def build_event(rng, depth=3, *, arrays=True):
    """Returns a random event, so small that many patterns match it."""

    def build_value(depth):
        kind = rng.random()
        if arrays and depth and kind < 0.35:
            return [build_value(depth - 1) for _ in range(rng.choice([0, 1, 2, 2]))]
        if depth and kind < 0.7:
            return build_event(rng, depth - 1, arrays=arrays)
        return rng.choice(VALUES)

    return {name: build_value(depth) for name in rng.sample(NAMES, rng.choice([1, 2, 3, 3]))}


@pytest.mark.parametrize("seed", range(3))
def test_no_value_of_an_unknown_contradicts_an_answer(seed):
    """An event that matches does so for all values, and one that does not match for none."""
    rng, counts = random.Random(seed), {True: 0, False: 0, None: 0}
    for _ in range(300):
        made = Made(rng)
        try:
            pattern = Pattern(made.pattern)
        except PatternError:  # no value makes it valid
            continue
        events = [build_event(rng) for _ in range(6)]
        answers = [pattern.matches(event) for event in events]
        for answer in answers:
            counts[answer] += 1
        for _ in range(12):
            known = made.substitute()
            try:
                decided = Pattern(known)
            except PatternError:
                continue
            for event, answer in zip(events, answers, strict=True):
                assert answer in (None, decided.matches(event)), (made.pattern, known, event)
    assert min(counts.values()) > 60, counts


@pytest.mark.parametrize("seed", range(2))
def test_explanations_agree_with_answers(seed):
    """An undecided pattern has undecided conditions and none that fails. One that does not match has a failed one."""
    rng = random.Random(seed)
    for _ in range(300):
        try:
            pattern = Pattern(Made(rng).pattern)
        except PatternError:
            continue
        for _ in range(4):
            event = build_event(rng)
            explanation = explain(pattern, read_structure(event))
            outcomes = {condition.ok for condition in explanation.conditions}
            assert explanation.matches is pattern.matches(event)
            assert (False in outcomes, None in outcomes) in {
                True: [(False, False)],
                None: [(False, True)],
                False: [(True, False), (True, True)],
            }[explanation.matches], (pattern.branches, event, explanation)
            assert explanation.changes is None or explanation.matches is False


def test_an_undecided_event_matches_for_some_values_only():
    """If the unknown values are whole conditions."""
    rng, undecided = random.Random(7), 0
    for _ in range(300):
        made = Made(rng, unknown_elements_only=True)
        pattern = Pattern(made.pattern)
        events = [build_event(rng, arrays=False) for _ in range(4)]
        events = [event for event in events if pattern.matches(event) is None]
        undecided += len(events)
        outcomes = [set() for _ in events]
        for _ in range(2000):
            if all(len(seen) == 2 for seen in outcomes):
                break
            known = Pattern(made.substitute())
            for event, seen in zip(events, outcomes, strict=True):
                seen.add(known.matches(event))
        for event, seen in zip(events, outcomes, strict=True):
            assert seen == {True, False}, (made.pattern, event)
    assert undecided > 50


@pytest.mark.parametrize("seed", range(2))
def test_a_pattern_among_many_routes_answers_as_if_alone(seed):
    rng = random.Random(100 + seed)
    patterns = []
    while len(patterns) < 150:
        try:
            patterns.append(Pattern(Made(rng).pattern))
        except PatternError:
            continue
    router = Router(patterns)
    for _ in range(100):
        event = build_event(rng)
        answers = [pattern.matches(event) for pattern in patterns]
        expected = [[number for number, answer in enumerate(answers) if answer is wanted] for wanted in (True, None)]
        text = json.dumps(event)
        assert [list(router.match(event)), list(router.find_undecided(event))] == expected
        assert [list(router.match(text)), list(router.find_undecided(text))] == expected
        assert [list(router.match_checked(text)), list(router.find_undecided_checked(text))] == expected


def test_only_enabled_routes_of_the_bus_are_undecided():
    undecided = Pattern({"source": [X]})
    routes = Routes(
        [
            Route("certain", Pattern({"source": ["shop", X]}), ()),
            Route("here", undecided, (), event_bus="default"),
            Route("elsewhere", undecided, (), event_bus="orders"),
            Route("off", undecided, (), enabled=False),
            Route("everywhere", undecided, ()),
        ]
    )

    assert [route.name for route in routes.match(ORDER)] == ["certain"]
    assert [route.name for route in routes.find_undecided(ORDER)] == ["here", "everywhere"]
    assert [route.name for route in routes.find_undecided(ORDER, "orders")] == ["elsewhere", "everywhere"]
    assert routes.find_undecided({"source": "shop"}) == routes.find_undecided_checked(b'{"source": "shop"}')
