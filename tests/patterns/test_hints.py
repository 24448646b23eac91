"""Hints and warnings of patterns: misplaced operators, operators of other languages."""

import pytest

from evtool.patterns.compiler import PatternError
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import explain
from evtool.patterns.pattern import Pattern


def warnings_of(pattern):
    return [(warning.code, ".".join(map(str, warning.path))) for warning in Pattern(pattern).warnings]


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ({"source": {"anything-but": ["a"]}}, "source.anything-but"),
        ({"source": {"prefix": ["a"]}}, "source.prefix"),
        ({"source": {"anything-but": {"prefix": ["a"]}}}, "source.anything-but"),
        ({"detail-type": {"in": ["a"]}}, "detail-type.in"),
        ({"detail": {"state": {"anything-but": ["a"]}, "x": [1]}}, "detail.state.anything-but"),
        ({"detail": {"total": {"numeric": [">", 5]}}}, "detail.total.numeric"),
        ({"detail": {"equals-ignore-case": ["a"]}}, "detail.equals-ignore-case"),
    ],
)
def test_a_misplaced_operator_is_a_warning(pattern, path):
    """The pattern is accepted with a warning at the operator. `explain` repeats the warning."""
    assert ("EV206", path) in warnings_of(pattern)
    explanation = explain(Pattern(pattern), read_structure({"source": "b", "detail-type": "t", "detail": {"x": 1}}))
    reasons = [condition.reason for condition in explanation.conditions if condition.path.startswith(path)]
    assert "is the name of a field here" in reasons[0]
    assert f"asks for {path}" in reasons[0]


@pytest.mark.parametrize(
    "pattern",
    [
        {"detail": {"prefix": ["a"], "exists": [True], "in": ["x"]}},
        {"detail": {"requestParameters": {"bucketName": ["a"], "prefix": ["b"]}}},
        {"dynamodb": {"NewImage": {"prefix": {"S": [{"prefix": "us"}]}}}},
        {"prefix": ["a"]},
        {"detail": {"not": ["a"], "filter": {"contains": ["x"]}}},
        {"detail": {"phone": {"prefix": ["+49"]}}},
        {"detail": {"block": {"cidr": ["10.0.0.0/8"]}}},
        {"detail": {"check": {"exists": [True]}}},
        {"detail": {"code": {"numeric": [5, 6]}}},
    ],
)
def test_a_field_may_have_the_name_of_an_operator(pattern):
    assert warnings_of(pattern) == []


def test_explain_suggests_an_operator_if_the_event_has_a_value():
    """The pattern has no warning. But a value in place of the object shows that an operator was meant."""
    pattern = Pattern({"detail": {"state": {"prefix": ["a"]}}})
    event = {"source": "s", "detail-type": "t", "detail": {"state": "abc"}}
    [condition] = explain(pattern, read_structure(event)).conditions
    assert 'if prefix is an operator: "state": [{"prefix": ...}]' in condition.reason
    [condition] = explain(Pattern({"detail": {"state": {"between": [1, 5]}}}), read_structure(event)).conditions
    assert 'if between is an operator: AWS has "numeric" with two bounds' in condition.reason
    [condition] = explain(pattern, read_structure({**event, "detail": {"state": {"x": 1}}})).conditions
    assert "operator" not in condition.reason


def test_a_replaced_condition_is_not_too_complex():
    """Of duplicate keys in a pattern the last value counts, as on AWS."""
    complex_list = '[{"anything-but": {"wildcard": ["*x*", "*a*a", "b*aaa*a"]}}]'
    assert Pattern(f'{{"b": {complex_list}, "b": ["x"]}}').matches({"b": "x"})
    with pytest.raises(PatternError, match="too complex"):
        Pattern(f'{{"b": ["x"], "b": {complex_list}}}')


def test_a_wide_block_of_addresses_is_a_warning():
    """It contains numbers; a narrower block does not."""
    assert warnings_of({"a": [{"cidr": "0.0.0.0/0"}, {"cidr": "10.0.0.0/8"}, {"cidr": "::/3"}]}) == [
        ("EV205", "a.0"),
        ("EV205", "a.2"),
    ]


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ({"or": ["a"]}, '"$or"'),
        ({"and": ["a"]}, "all fields of an object must hold"),
        ({"not": "a"}, '"anything-but"'),
        ({"regex": "a.*"}, '"wildcard"'),
        ({"gt": 5}, '{"numeric": [">", 5]}'),
        ({"$gte": 5}, '"numeric"'),
        ({"less-than": 5}, '"numeric"'),
        ({"between": [1, 2]}, '{"numeric": [">=", 1, "<=", 5]}'),
        ({"contains": "a"}, '{"wildcard": "*text*"}'),
        ({"startsWith": "a"}, '{"prefix": "text"}'),
        ({"ends_with": "a"}, '{"suffix": "text"}'),
        ({"in": ["a"]}, '["a", "b"]'),
        ({"Prefix": "a"}, 'did you mean "prefix"?'),
    ],
)
def test_the_hint_for_an_operator_of_another_language_names_that_of_aws(condition, hint):
    with pytest.raises(PatternError) as caught:
        Pattern({"detail": {"a": [condition]}})
    (problem,) = caught.value.problems
    assert problem.code == "EV202"
    assert hint in problem.hint


def test_the_hint_for_or_as_a_field_names_dollar_or():
    with pytest.raises(PatternError, match=r'"\$or"'):
        Pattern({"or": [{"source": ["a"]}, {"source": ["b"]}]})


def test_the_hint_for_a_missing_list_names_the_operator_of_aws():
    with pytest.raises(PatternError, match=r"as a list: \[5\]; if gt is an operator: .*numeric"):
        Pattern({"detail": {"total": {"gt": 5}}})
