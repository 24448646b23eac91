"""evtool explain: it agrees with the matcher, names the actual reason, and suggests changes that work."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from evtool.events.envelopes import parse_event
from evtool.events.event import EventDefaults
from evtool.events.overrides import apply_overrides
from evtool.patterns.compiler import PatternError
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import Explanation, explain
from evtool.patterns.pattern import Pattern
from tests.conftest import ROOT, Evtool, Ran

VECTORS = ROOT / "tests/vectors"
STAMP = EventDefaults(lambda: "1", lambda: "2026-11-23T10:00:00Z")


def explained(pattern: Any, event: Any) -> Explanation:
    """The explanation of a pattern and an event, given as Python values or JSON text."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in (pattern, event)]
    return explain(Pattern(texts[0]), read_structure(texts[1]))


# --- never another answer than the matcher's -------------------------------------------------------------------------


def check(told: Explanation, matches: bool) -> None:
    """Checks the rules for every explanation."""
    assert told.matches is matches
    assert all(tried.ok for tried in told.conditions) is matches
    assert told.conditions
    assert [tried for tried in told.conditions if bool(tried.reason) is tried.ok] == []
    assert told.changes is None or (not matches and told.changes)
    assert all(change.text for change in told.changes or ())


@pytest.mark.parametrize(("name", "count"), [("aws", 119), ("curated", 366)])
def test_explanations_agree_with_the_recorded_answers_of_aws(name: str, count: int) -> None:
    """All conditions hold exactly if the pattern matches."""
    rows = [json.loads(line) for line in (VECTORS / f"patterns-{name}.jsonl").read_text("utf-8").splitlines()]
    valid = [row for row in rows if row["expected"] != "invalid"]
    assert len(valid) == count
    for row in valid:
        check(explain(Pattern(row["pattern_text"]), read_structure(row["event_text"])), row["expected"])


VALUES = ["a", "A", "ab", "b c", "", 1, 2.5, 300, "300", True, None, "10.0.0.1"]
NAMES = ["a", "b", "c"]


def a_value(rng: random.Random, depth: int = 0) -> Any:
    """A random part of an event."""
    kind = rng.random()
    if depth < 3 and kind < 0.3:
        return {name: a_value(rng, depth + 1) for name in rng.sample(NAMES, rng.choice([0, 2, 3, 3]))}
    if depth < 3 and kind < 0.55:
        return [a_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return rng.choice(VALUES)


def a_condition(rng: random.Random) -> Any:
    """A random alternative of a field."""
    text = rng.choice(["a", "A", "ab", "30"])
    return rng.choice(
        [
            rng.choice(VALUES),
            {"exists": rng.random() < 0.5},
            {"prefix": text},
            {"suffix": {"equals-ignore-case": text}},
            {"wildcard": f"{text}*"},
            {"anything-but": [text, "b"]},
            {"anything-but": {"prefix": text}},
            {"numeric": rng.choice([[">", 1], ["<=", 2.5], [">", 0, "<", 2], ["=", 300]])},
            {"cidr": "10.0.0.0/8"},
            {"equals-ignore-case": text},
        ]
    )


def a_pattern(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """A random pattern."""
    made: dict[str, Any] = {}
    for name in rng.sample(NAMES, rng.choice([1, 1, 2])):
        nested = depth < 2 and rng.random() < 0.3
        made[name] = (
            a_pattern(rng, depth + 1) if nested else [a_condition(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        )
    if depth < 2 and rng.random() < 0.15:
        made["$or"] = [a_pattern(rng, depth + 1) for _ in range(rng.randint(2, 3))]
    return made


@pytest.mark.slow
def test_explanations_of_random_pairs_agree_with_the_matcher() -> None:
    """3,000 pairs of a pattern and an event. A suggested change makes the pattern match."""
    rng = random.Random(20261123)
    envelope = {"id": "1", "source": "s", "detail-type": "t"}
    answers = {True: 0, False: 0}
    proposed = tried = 0
    for _ in range(3000):
        detail = a_value(rng)
        event = {**envelope, "detail": detail if isinstance(detail, dict) else {"a": detail, "b": a_value(rng)}}
        pattern = Pattern(json.dumps({"detail": a_pattern(rng)}))
        told = explain(pattern, read_structure(json.dumps(event)))
        check(told, pattern.matches(json.dumps(event)))
        answers[told.matches] += 1
        proposed += told.changes is not None
        if told.changes and all(change.action != "remove" for change in told.changes):
            assignments = [f"{change.path}={json.dumps(change.value)}" for change in told.changes]
            changed = apply_overrides(parse_event(json.dumps(event).encode()), (), STAMP, new=assignments)
            assert pattern.matches(changed.raw), (event, assignments)
            tried += 1
    assert min(answers.values()) > 300
    assert proposed > 0.6 * answers[False]
    assert tried > 0.5 * answers[False]


# --- the real reason -------------------------------------------------------------------------------------------------

ORDER = {
    "id": "1",
    "source": "shop.checkout",
    "detail-type": "order.created",
    "detail": {
        "orderTotal": 27.64,
        "quantity": "300",
        "customer": {"name": "Joe", "city": "HAVRE DE GRACE"},
        "items": [{"id": 4912, "price": 122.43}, {"id": 8123, "price": 21.99}],
        "tags": [],
        "file": "invoices/2026/11.PDF",
        "state": "draft",
        "ip": "10.0.0.7:443",
    },
}

# (pattern of the detail, the words that name the reason, the smallest change)
NEAR_MISSES: list[tuple[dict[str, Any], str, str | None]] = [
    ({"ordertotal": [27.64]}, 'missing; did you mean "detail.orderTotal"?', "add detail.ordertotal = 27.64"),
    ({"orderTotal": [{"numeric": [">", 100]}]}, "27.64 is 72.36 below 100", "detail.orderTotal = 100.01"),
    ({"orderTotal": [{"numeric": [">", 27.64]}]}, "the bound itself does not count", "detail.orderTotal = 27.65"),
    ({"quantity": [300]}, '"300" is a string, 300 is a number', "detail.quantity = 300"),
    ({"quantity": [{"numeric": [">", 5]}]}, "without quotes it would hold", "detail.quantity = 300"),
    (
        {"orderTotal": [{"prefix": "27"}]},
        "27.64 is a number, and prefix takes strings only",
        'detail.orderTotal = "27.64"',
    ),
    ({"state": ["Draft"]}, 'differs from "Draft" in upper and lower case only', 'detail.state = "Draft"'),
    ({"state": ["draft "]}, "in blanks only", 'detail.state = "draft "'),
    ({"state": ["dra*"]}, "a star matches other characters only in a wildcard", 'detail.state = "dra*"'),
    ({"state": [{"anything-but": ["draft", "void"]}]}, "anything-but excludes", "another value for detail.state"),
    ({"state": [{"exists": False}]}, 'the field is there, with the value "draft"', "remove detail.state"),
    ({"state": ["paid", "sent"]}, '"draft" fits none of "paid", "sent"', 'detail.state = "paid"'),
    ({"file": [{"suffix": ".pdf"}]}, "in other upper and lower case only", 'detail.file = "invoices/2026/11.pdf"'),
    ({"file": [{"prefix": "invoices/2027"}]}, 'begins with "invoices/202", but not', 'detail.file = "invoices/2027"'),
    ({"file": [{"wildcard": "invoices/*/12.*"}]}, 'has no "/12." after "invoices/"', 'detail.file = "invoices//12."'),
    ({"file": [{"prefix": "2026"}]}, "in it, but not at the beginning", 'detail.file = "2026"'),
    ({"ip": [{"cidr": "10.0.0.0/24"}]}, 'not an IP address alone: "10.0.0.7" would hold', 'detail.ip = "10.0.0.0"'),
    ({"customer": ["Joe"]}, "an object with name, city: conditions are on a value in it", None),
    ({"state": {"paid": [True]}}, 'detail.state is "draft" and has no fields', None),
    ({"items": {"id": [8123], "price": [5]}}, "none of 2 values fits", "detail.items[1].price = 5"),
    ({"tags": ["new"]}, "an empty array", 'add detail.tags[0] = "new"'),
    (
        {"customer": {"adress": {"city": [{"exists": True}]}}},
        'detail.customer has no "adress"',
        "add detail.customer.adress.city",
    ),
    (
        {"items": {"id": [4912], "price": [21.99]}},
        "holds in detail.items[1], but detail.items.id holds in detail.items[0]",
        "detail.items[0].price = 21.99",
    ),
]


@pytest.mark.parametrize(("detail", "reason", "change"), NEAR_MISSES, ids=[str(row[0]) for row in NEAR_MISSES])
def test_a_near_miss_has_the_reason_and_the_smallest_change(
    detail: dict[str, Any], reason: str, change: str | None
) -> None:
    """One condition fails."""
    told = explained({"source": ["shop.checkout"], "detail": detail}, ORDER)

    assert not told.matches
    (failed,) = told.failures
    assert reason in str(failed.reason)
    assert (", ".join(each.text for each in told.changes) if told.changes else None) == change


def test_a_pattern_for_the_other_envelope_gets_the_name_of_the_field() -> None:
    """A pattern for EventBridge's envelope, and a CloudEvent."""
    event = {"specversion": "1.0", "id": "1", "type": "order.created", "source": "shop", "data": {"total": 5}}
    told = explained({"detail-type": ["order.created"], "detail": {"total": [5]}}, event)

    reasons = {tried.path: str(tried.reason) for tried in told.conditions}
    assert 'did you mean "type"?' in reasons["detail-type"]
    assert 'did you mean "data.total"?' in reasons["detail.total"]


def test_an_empty_field_name_is_not_suggested() -> None:
    """A field of the event with the name "" is suggested for no other field."""
    told = explained({"detail": {"total": [5]}}, {"source": "shop", "detail": {"": 2, "n": 1}})

    assert str(told.failures[0].reason) == "the field is missing"


def test_a_detail_that_is_json_text_is_recognized() -> None:
    """The detail was encoded twice."""
    told = explained({"detail": {"a": [1]}}, {"detail": '{"a": 1}'})

    assert "its JSON is in a string" in str(told.failures[0].reason)


def test_the_nearest_branch_of_or_is_explained() -> None:
    """With its number."""
    pattern = {"source": ["shop"], "$or": [{"a": [1], "b": [2]}, {"a": [5], "b": [6]}, {"c": [3]}]}
    told = explained(pattern, {"source": "shop", "a": 5, "b": 7})

    assert (told.branch, told.branches) == (2, 3)
    assert [(tried.path, tried.ok) for tried in told.conditions] == [("a", True), ("b", False), ("source", True)]
    assert explained(pattern, {"source": "shop", "c": 3}).branch == 3
    assert explained({"$or": [{"a": ["void"]}, {"a": ["Paid"]}, {"a": ["sent"]}]}, {"a": "paid"}).branch == 2


def test_the_reason_concerns_the_nearest_alternative() -> None:
    """The alternatives keep the order of the pattern."""
    told = explained({"a": ["x", {"prefix": "y"}, 300]}, {"a": ["300", "z"]})

    (tried,) = told.conditions
    assert (tried.operator, tried.expected, tried.actual) == ("one-of", ["x", {"prefix": "y"}, 300], ["300", "z"])
    assert '"300" is a string, 300 is a number' in str(tried.reason)


@pytest.mark.slow
def test_large_events_are_explained_in_seconds_with_short_sentences() -> None:
    """Ten thousand elements, and several branches."""
    event = {"o": [{"a": 1, "b": 0}, {"a": 0, "b": 2}] * 5000, "t": [str(number) for number in range(10_000)]}
    branches = [{"o": {"a": [1], "b": [2]}, "t": [f"x{number}"]} for number in range(10)]
    started = time.process_time()
    told = explain(Pattern({"$or": branches}), read_structure(event))

    assert time.process_time() - started < 10
    assert [len(str(tried.reason)) < 300 for tried in told.failures] == [True, True]


# --- the command -----------------------------------------------------------------------------------------------------


def routes_of(ran: Ran) -> list[str]:
    """Returns the routes in the order of the output."""
    return [route["route"] for route in ran.json["routes"]]


def test_the_nearest_route_comes_first(evtool: Evtool, shop: Path) -> None:
    """Routes that match come first, then those with the fewest failed conditions. Exit code 0 if a route matches."""
    ran = evtool("explain", "cart-abandoned", "-o", "json", cwd=shop)

    assert ran.code == 0
    assert routes_of(ran)[:2] == ["win-back-cart", "tell-declined"]
    failing = [sum(not each["ok"] for each in route["conditions"]) for route in ran.json["routes"]]
    assert failing == sorted(failing)
    assert [route["matches"] for route in ran.json["routes"]] == [True, False, False, False, False]
    assert ran.json["event"] == {
        "id": "4fed5ebb-10bd-4d88-bf87-af2b873ec14f",
        "type": "cart.abandoned",
        "source": "shop.cart",
    }


def test_json_has_every_part_of_a_condition_and_its_location(evtool: Evtool, shop: Path) -> None:
    """Path, operator, expected, actual, ok and reason."""
    arguments = ("explain", "cart-abandoned", "--set", "detail.cartTotal=12", "--route", "win-back-cart", "-o", "json")
    ran = evtool(*arguments, cwd=shop)

    assert ran.code == 1
    (route,) = ran.json["routes"]
    failed = next(each for each in route["conditions"] if not each["ok"])
    line = next(n for n, text in enumerate((shop / "routes.yaml").read_text().split("\n"), 1) if "cartTotal" in text)
    assert failed == {
        "path": "detail.cartTotal",
        "operator": "numeric",
        "expected": [">=", 20],
        "wanted": "numeric >= 20",
        "actual": [12],
        "ok": False,
        "reason": "12 is 8 below 20",
        "line": line,
        "column": 20,
    }
    assert (route["matches"], route["enabled"], route["file"]) == (False, True, "routes.yaml")
    assert route["change"] == [
        {"action": "set", "path": "detail.cartTotal", "value": 20, "words": "detail.cartTotal = 20"}
    ]


def test_text_shows_three_routes_in_full_and_a_line_for_each_other_one(evtool: Evtool, shop: Path) -> None:
    """-v shows all routes in full."""
    short = evtool("explain", "cart-abandoned", cwd=shop).out
    full = evtool("explain", "cart-abandoned", "-v", cwd=shop).out

    assert "  ok    detail.cartTotal  65.97  (wanted: numeric >= 20)" in short
    assert "pay-for-order  does not match: 2 of 2 conditions fail: detail-type, source" in short
    assert (short.count("change: "), full.count("change: ")) == (2, 4)
    assert "1 of 5 routes matches; -v shows every condition" in short


def test_a_named_route_is_shown_with_locations(evtool: Evtool, shop: Path) -> None:
    """Those of the route and of its failed conditions. For an unknown name, a similar one is suggested."""
    out = evtool("explain", "order-created", "--route", "tell-declined", cwd=shop).out
    lines = (shop / "routes.yaml").read_text().split("\n")
    line = lines.index("  tell-declined:") + 1

    assert f"tell-declined  does not match: 1 of 2 conditions fails  routes.yaml:{line}:3" in out
    assert f"routes.yaml:{line + 4}:20" in out
    assert "pay-for-order" not in out
    wrong = evtool("explain", "order-created", "--route", "tell-decline", cwd=shop)
    assert (wrong.code, 'did you mean "tell-declined"?' in wrong.err) == (2, True)


def test_a_disabled_route_is_explained(evtool: Evtool, shop: Path) -> None:
    """It is marked as disabled."""
    routes = shop / "routes.yaml"
    routes.write_text(routes.read_text().replace("  win-back-cart:\n", "  win-back-cart:\n    state: disabled\n"))
    ran = evtool("explain", "cart-abandoned", "-o", "json", cwd=shop)

    assert [route["enabled"] for route in ran.json["routes"]] == [False, True, True, True, True]
    assert ran.json["routes"][0]["matches"]
    assert "win-back-cart  matches  disabled: it takes nothing" in evtool("explain", "cart-abandoned", cwd=shop).out


def test_a_pattern_needs_no_project(evtool: Evtool, tmp_path: Path) -> None:
    """--pattern takes JSON or a file, and works with a file or standard input."""
    event = json.dumps(ORDER)
    (tmp_path / "event.json").write_text(event)
    (tmp_path / "pattern.json").write_text('{"detail": {"orderTotal": [{"numeric": ["<", 100]}]}}')
    matching = evtool("explain", "event.json", "--pattern", "@pattern.json", "-o", "json")
    other = evtool("explain", "-", "--pattern", '{"detail": {"orderTotal": ["27.64"]}}', stdin=event.encode())
    broken = evtool("explain", "event.json", "--pattern", '{"source": "shop"}')
    missing = evtool("explain", "event.json", "--pattern", "@nowhere.json")

    assert (matching.code, matching.json["routes"][0]["route"], matching.json["routes"][0]["matches"]) == (
        0,
        None,
        True,
    )
    assert (other.code, '27.64 is a number, "27.64" is a string' in other.out) == (1, True)
    assert (broken.code, 'write the values as a list: ["shop"]' in broken.err) == (2, True)
    assert (missing.code, missing.out) == (2, "")


def test_a_payload_without_an_envelope_gets_type_and_source_from_options(evtool: Evtool, shop: Path) -> None:
    """A payload without an envelope is explained with the type and source that are given."""
    arguments = ("--type", "cart.abandoned", "--source", "shop.cart", "--route", "win-back-cart")

    assert evtool("explain", "-", *arguments, stdin=b'{"cartTotal": 20}', cwd=shop).code == 0
    assert evtool("explain", "-", *arguments, stdin=b'{"cartTotal": 19}', cwd=shop).code == 1


def test_malformed_input_is_exit_code_1_and_unreadable_input_2(evtool: Evtool, shop: Path) -> None:
    """Malformed JSON is a finding and exit code 1; a file that cannot be read is exit code 2."""
    broken = evtool("explain", "-", "-o", "json", stdin=b'{"id": ', cwd=shop)

    assert (broken.code, broken.json["event"], broken.json["routes"]) == (1, None, [])
    assert [finding["code"] for finding in broken.json["findings"]] == ["EV002"]
    assert "EV002" in broken.err
    for named in ("nowhere.json", "no-such-sample"):
        ran = evtool("explain", named, cwd=shop)
        assert (ran.code, "Traceback" in ran.err) == (2, False)
        assert ran.err
    assert evtool("explain", "order-created", "--route", "pay-for-order", "--pattern", "{}", cwd=shop).code == 2


def test_the_id_of_a_stored_event_is_explained(evtool: Evtool, shop: Path) -> None:
    """A file or sample of that name takes precedence. --source selects one of several events."""
    for source, name in (("shop.cart", "one"), ("shop.cart", "payment-declined"), ("shop.desk", "one")):
        evtool("publish", "cart-abandoned", "--set", f"id={name}", "--set", f"source={source}", cwd=shop)
    stored = evtool("explain", "one", "--source", "shop.desk", "-o", "json", cwd=shop)
    sample = evtool("explain", "payment-declined", "-o", "json", cwd=shop)
    pattern = evtool("explain", "one", "--source", "shop.desk", "--pattern", '{"source": ["shop.desk"]}', cwd=shop)
    several, nothing = evtool("explain", "one", cwd=shop), evtool("explain", "two", cwd=shop)

    assert stored.json["event"] == {"id": "one", "type": "cart.abandoned", "source": "shop.desk"}
    assert sample.json["event"]["type"] == "payment.declined"
    assert (pattern.code, "the pattern  matches" in pattern.out) == (0, True)
    assert several.code == nothing.code == 2
    assert "several events have the id one; choose one with --source: shop.cart, shop.desk" in several.err
    assert "there is no file, no sample and no stored event two" in nothing.err


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_publish_explains_other_routes_with_vv(evtool: Evtool, shop: Path, options: tuple[str, ...]) -> None:
    """Each published event is followed by the routes that do not match it, the nearest first."""
    plain = evtool("publish", "cart-abandoned", "--set", "detail.cartTotal=12", "--dry-run", "-v", cwd=shop)
    told = evtool("publish", "cart-abandoned", "--set", "detail.cartTotal=12", "-vv", *options, cwd=shop)
    lines = told.out.splitlines()

    assert "not taken by" not in plain.out
    assert lines[1].endswith("not taken by")
    assert lines[2] == "  win-back-cart  does not match: 1 of 3 conditions fails  routes.yaml:63:3"
    assert lines[3] == "    FAIL  detail.cartTotal  12 is 8 below 20  (wanted: numeric >= 20)"
    assert all(name in told.out for name in ("pay-for-order", "confirm-order", "fulfil-order", "tell-declined"))
    assert (
        "win-back-cart" not in evtool("publish", "cart-abandoned", "-vv", *options, cwd=shop).out.split("not taken")[1]
    )


def test_publish_explains_other_routes_for_emitted_events_too(evtool: Evtool, shop: Path) -> None:
    """An event that was already stored fires nothing, and is not explained."""
    first = evtool("publish", "order-created", "payment-declined", "-vv", cwd=shop).out
    again = evtool("publish", "order-created", "-vv", cwd=shop).out

    told = [line.split()[0] for line in first.splitlines() if line.endswith("not taken by")]
    assert told == ["order.created", "payment.authorized", "payment.declined"]
    assert "not taken by" not in again


def test_replay_explains_other_routes_with_v(evtool: Evtool, shop: Path) -> None:
    """Each event is matched in the form in which it is replayed. The JSON is the same without -v."""
    evtool("publish", "cart-abandoned", cwd=shop)
    routes = shop / "routes.yaml"
    only_new = "      source: [shop.cart]\n      replay-name: [{exists: false}]\n"
    routes.write_text(routes.read_text().replace("      source: [shop.cart]\n", only_new))
    told = evtool("replay", "-v", cwd=shop).out

    assert "\n  not taken by\n    win-back-cart  does not match: 1 of 4 conditions fails" in told
    assert "      FAIL  replay-name  " in told
    assert "    and by 2 more routes; -vv shows all" in told
    assert evtool("replay", "-v", "-o", "json", cwd=shop).json == evtool("replay", "-o", "json", cwd=shop).json


def test_a_finding_code_is_explained_without_a_project(evtool: Evtool) -> None:
    """For an unknown code, the codes of its area are listed."""
    known, unknown = evtool("explain", "EV202"), evtool("explain", "ev299")

    assert known.code == 0
    assert known.out.startswith("EV202  unknown operator\n  bad pattern\n")
    [told] = evtool("explain", "ev202", "-o", "json").json["codes"]
    assert (told["meaning"], told["of"], "Prefix" in told["bad"]) == ("unknown operator", "pattern", True)
    assert '"pattern": "^o-"' in evtool("explain", "EV107").out
    assert unknown.code == 2
    assert "there is no finding code EV299; similar codes are EV201, EV202" in unknown.err


def test_escape_sequences_of_events_do_not_reach_the_terminal(evtool: Evtool, tmp_path: Path) -> None:
    """Neither those of values nor those of field names."""
    event = {**ORDER, "detail": {"a\x1b[31m": 1, "b": "\x1b]0;x\x07\u202e"}}
    pattern = json.dumps({"detail": {"b": ["c"], "a\x1b[32m": [1]}})
    ran = evtool("explain", "-", "--pattern", pattern, stdin=json.dumps(event).encode())

    assert ran.code == 1
    assert not {"\x1b", "\x07", "\u202e"} & set(ran.out)


def test_an_invalid_pattern_is_refused() -> None:
    """The error of the pattern is raised."""
    with pytest.raises(PatternError):
        explained({"a": []}, {"a": 1})


@pytest.mark.parametrize("command", [("publish",), ("publish", "--dry-run"), ("explain",)])
def test_a_warning_of_a_pattern_is_shown_once(evtool: Evtool, tmp_path: Path, command: tuple[str, ...]) -> None:
    """An operator in the place of a field is accepted. The command shows one warning, with the same exit code."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: ['true']}}\nroutes:\n"
        "  odd: {pattern: {source: {anything-but: [a]}}, to: [h]}\n  all: {pattern: {source: [shop]}, to: [h]}\n"
    )
    (tmp_path / "event.json").write_text('{"source": "shop", "detail-type": "t", "detail": {}}')

    ran = evtool(*command, "event.json", cwd=tmp_path)
    quiet = evtool(*command, "event.json", "-q", cwd=tmp_path)

    assert ran.code == 0
    assert ran.err.count("EV206") == 1
    assert "routes.yaml:4:28: EV206 warning: route odd:" in ran.err
    assert 'write the operator in a list: "source": [{"anything-but": [...]}]' in ran.err
    assert (quiet.code, quiet.err) == (0, "")


def test_ten_nearest_routes_and_all_matches_are_shown(evtool: Evtool, tmp_path: Path) -> None:
    """The last line counts the other routes; -v shows all."""
    routes = "".join(f"  no-{n}: {{pattern: {{source: [shop{n}]}}, to: [h]}}\n" for n in range(20))
    routes += "".join(f"  yes-{n}: {{pattern: {{source: [shop]}}, to: [h]}}\n" for n in range(12))
    (tmp_path / "routes.yaml").write_text(f"version: 1\nhandlers: {{h: {{command: ['true']}}}}\nroutes:\n{routes}")
    (tmp_path / "event.json").write_text('{"source": "shop", "detail-type": "t", "detail": {}}')
    (tmp_path / "other.json").write_text('{"source": "x", "detail-type": "t", "detail": {}}')

    ran, other = (evtool("explain", f"{name}.json", cwd=tmp_path).out for name in ("event", "other"))
    full = evtool("explain", "other.json", "-v", cwd=tmp_path).out

    assert (ran.count("  matches"), ran.count("does not match")) == (12, 0)
    assert "and 20 more routes that are farther from a match; -v shows all" in ran
    assert other.count("does not match") == 10
    assert "and 22 more routes that are farther from a match; -v shows all" in other
    assert full.count("does not match") == 32


# --- what the schema allows ------------------------------------------------------------------------------------------

SCHEMA = {
    "additionalProperties": False,
    "required": ["state"],
    "properties": {
        "state": {"enum": ["draft", "paid", "sent"]},
        "total": {"type": "integer"},
        "kind": {"enum": ["a", "b"]},
        "code": {"type": "string"},
        "tags": {"items": {"const": "new"}},
        "address": {"type": "string", "maxLength": 5},
    },
    "oneOf": [
        {"properties": {"kind": {"const": "a"}, "code": {"const": "x"}}},
        {"properties": {"kind": {"const": "b"}, "code": {"const": "y"}}},
    ],
}
DETAIL = {"state": "draft", "total": 5, "kind": "b", "code": "y", "tags": []}
WRONG = "; the rule is probably wrong"

# (pattern of the detail, the change, the end of what is said of the schema)
ALLOWED: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"state": ["shipped", "paid"]}, 'detail.state = "paid"', None),
    ({"total": [{"numeric": [">", 10.5]}]}, "detail.total = 11", None),
    ({"state": [{"anything-but": ["draft"]}]}, "another value for detail.state", None),
    ({"kind": ["a"], "code": ["x"]}, 'detail.code = "x", detail.kind = "a"', None),
    ({"state": ["Paid"]}, None, f'should be one of "draft", "paid", "sent", got "Paid"{WRONG}'),
    ({"state": [{"exactly": "void"}]}, None, f'should be one of "draft", "paid", "sent", got "void"{WRONG}'),
    ({"total": ["5"]}, None, f'detail.total: detail.total should be integer, got the string "5"{WRONG}'),
    ({"stat": ["paid"]}, None, f"detail.stat is not allowed here{WRONG}"),
    ({"tags": ["old"]}, None, f'detail.tags[0] should be "new", got "old"{WRONG}'),
    # no claim: another event may have the value, another branch may match, or not all values are known
    ({"code": ["x"]}, None, None),
    ({"kind": ["a"]}, None, None),
    ({"$or": [{"state": ["Paid"]}, {"total": [6, 7], "code": ["z"]}]}, None, None),
    ({"state": [{"prefix": "s"}]}, None, None),
    ({"state": [{"exists": False}]}, None, None),
    ({"state": ["void", {"suffix": "id"}]}, None, None),
    ({"address": ["10.0.0.1"]}, None, None),
]


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A project with a schema, and a sample that is valid."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "samples").mkdir()
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\nsamples: samples\nroutes: {}\n")
    (tmp_path / "schemas/order.json").write_text(json.dumps(SCHEMA))
    event = {"id": "1", "detail-type": "order", "source": "shop", "time": "2026-11-23T10:00:00Z", "detail": DETAIL}
    (tmp_path / "samples/order.json").write_text(json.dumps(event))
    return tmp_path


def route_of(evtool: Evtool, orders: Path, pattern: dict[str, Any], *options: str) -> dict[str, Any]:
    """Returns the explanation of a pattern and the sample."""
    ran = evtool("explain", "order", "--pattern", json.dumps(pattern), "-o", "json", *options, cwd=orders)
    assert ran.code == 1
    (route,) = ran.json["routes"]
    return dict(route)


def words_of(route: dict[str, Any]) -> str | None:
    """The change in words."""
    return ", ".join(change["words"] for change in route["change"]) if route["change"] else None


@pytest.mark.parametrize(("detail", "change", "conflict"), ALLOWED, ids=[str(row[0]) for row in ALLOWED])
def test_suggested_changes_are_allowed_by_the_schema(
    evtool: Evtool, orders: Path, detail: dict[str, Any], change: str | None, conflict: str | None
) -> None:
    """If the schema allows no value that the pattern accepts, the explanation says so."""
    route = route_of(evtool, orders, {"detail-type": ["order"], "detail": detail})

    assert words_of(route) == change
    if conflict is None:
        assert route["conflict"] is None
    else:
        assert route["conflict"]["type"] == "order"
        assert route["conflict"]["words"].endswith(conflict)


def test_text_says_why_no_change_is_possible(evtool: Evtool, orders: Path) -> None:
    """A pattern of several types may be right for the other types."""
    ran = evtool("explain", "order", "--pattern", '{"detail": {"state": ["void"]}}', cwd=orders)

    said = "the schema of order allows no value that the pattern accepts in detail.state"
    assert f'  no change: {said}: detail.state should be one of "draft", "paid", "sent", got "void"\n' in ran.out
    assert "change: detail" not in ran.out


@pytest.mark.parametrize(
    ("pattern", "options", "change"),
    [
        ({"detail-type": ["other"], "detail": {"state": ["void"]}}, (), 'detail-type = "other", detail.state = "void"'),
        ({"detail": {"state": ["void"]}}, ("--set", "detail.total=many"), 'detail.state = "void"'),
        ({"detail": {"state": ["void"]}}, ("--set", "detail-type=no-schema"), 'detail.state = "void"'),
    ],
    ids=["another type", "not valid", "no schema"],
)
def test_without_a_schema_any_change_is_suggested(
    evtool: Evtool, orders: Path, pattern: dict[str, Any], options: tuple[str, ...], change: str
) -> None:
    """The schema of another type does not count, and an invalid event has no validity to keep."""
    route = route_of(evtool, orders, pattern, *options)

    assert (sorted(str(words_of(route)).split(", ")), route["conflict"]) == (sorted(change.split(", ")), None)


def test_explain_works_with_a_broken_schema(evtool: Evtool, orders: Path) -> None:
    """`evtool validate` reports the schema."""
    (orders / "schemas/order.json").write_text('{"type": 5}')

    assert words_of(route_of(evtool, orders, {"detail": {"state": ["void"]}})) == 'detail.state = "void"'


@pytest.mark.parametrize("path", ["/", '[""]'])
def test_a_field_with_an_empty_name_is_set(evtool: Evtool, orders: Path, path: str) -> None:
    """Both the pointer `/` and the path of a suggested change lead to the field."""
    route = route_of(evtool, orders, {"": [3], "source": ["void"]}, "--set-new", f"{path}=2")

    assert next(each for each in route["conditions"] if each["path"] == "")["actual"] == [2]
    assert words_of(route) == '[""] = 3, source = "void"'


@pytest.mark.parametrize("path", ["/detail/", 'detail[""]'])
def test_a_field_with_an_empty_name_in_the_payload_is_set(evtool: Evtool, orders: Path, path: str) -> None:
    """The schema refuses the name, with its location."""
    ran = evtool("publish", "order", "--set-new", f"{path}=2", "--dry-run", "-o", "json", cwd=orders)

    assert [(each["code"], each["pointer"]) for each in ran.json["findings"]] == [("EV103", "/detail/")]


def test_changes_for_a_pattern_are_allowed_by_the_schemas_of_the_project(evtool: Evtool, tmp_path: Path) -> None:
    """--pattern needs no project. A broken schema does not matter."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/t.json").write_text('{"properties": {"total": {"type": "number"}}}')
    (tmp_path / "e.json").write_text('{"id": "1", "source": "s", "detail-type": "t", "detail": {"total": 5}}')
    arguments = ("explain", "e.json", "--pattern", '{"detail": {"total": ["5"]}}')
    assert 'change: detail.total = "5"' in evtool(*arguments).out
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n")
    assert "no change: the schema of t allows no value that the pattern accepts" in evtool(*arguments).out
    (tmp_path / "routes.yaml").write_text("version: [")
    assert evtool(*arguments).code == 1


def test_only_the_nearest_of_many_routes_get_a_suggested_change(evtool: Evtool, shop: Path) -> None:
    """The other routes have the reason why each condition fails."""
    routes = "".join(f"  r{number}: {{pattern: {{source: [s{number}]}}, to: [h]}}\n" for number in range(150))
    (shop / "many.yaml").write_text(f"version: 1\nhandlers: {{h: {{command: ['true']}}}}\nroutes:\n{routes}", "utf-8")
    ran = evtool("explain", "samples/events/order-created.json", "--routes", "many.yaml", "-o", "json", cwd=shop)
    assert [bool(route["change"]) for route in ran.json["routes"]] == [True] * 100 + [False] * 50
    assert all(condition["reason"] for route in ran.json["routes"] for condition in route["conditions"])
