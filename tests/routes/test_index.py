"""The index over many patterns: it finds all matching patterns, and tries few others."""

import json
import random
import time

import pytest

from evtool.patterns.compiler import PatternError
from evtool.patterns.field_values import LeafGetters
from evtool.patterns.flatten import flatten_event
from evtool.patterns.pattern import Pattern
from evtool.routes import lookups
from evtool.routes.index import Index
from evtool.routes.routes import Route, Routes
from tests.conftest import ROOT

VECTORS = ROOT / "tests/vectors"


def candidates_of(index, leaves):
    """Returns the numbers of the patterns that the index decides to match, and of those that it tries."""
    tried = set()
    matchers, numbers = index.matchers, range(len(index.matchers))
    index.matchers = [lambda *_, number=number: tried.add(number) for number in numbers]
    decided = index.find_matches(leaves, LeafGetters())
    index.matchers = matchers
    return {*decided, *tried}


def compare(patterns, leaves, index):
    """Returns the numbers of the patterns that match, tried one by one, and of the candidates of the index."""
    matching = {number for number, pattern in enumerate(patterns) if pattern.matches_leaves(leaves)}
    return matching, candidates_of(index, leaves)


def valid(texts):
    """Compiles the texts that are valid patterns."""
    patterns = []
    for text in texts:
        try:
            patterns.append(Pattern(text))
        except PatternError:
            continue
    return patterns


def vectors():
    """Returns every valid pattern of the vectors, and every event."""
    patterns, events = {}, {}
    for file in VECTORS.glob("*.jsonl"):
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            events[row["event_text"]] = None
            texts = [row["pattern_text"]] if "pattern_text" in row else [json.dumps(r["pattern"]) for r in row["rules"]]
            patterns |= dict.fromkeys(texts)
    read = []
    for text in events:
        try:
            read.append(flatten_event(text))
        except ValueError:
            continue
    return valid(patterns), read


def test_vectors_all_at_once():
    """One index has all patterns with recorded answers: the matching patterns of each event are candidates."""
    patterns, events = vectors()
    assert (len(patterns), len(events)) > (350, 340)
    index = Index([pattern.certain for pattern in patterns])
    for leaves in events:
        matching, candidates = compare(patterns, leaves, index)
        assert matching <= candidates


# --- random rules and events ------------------------------------------------------------------------------------------

TEXTS = [
    *("", "a", "A", "ab", "aB", "abc", "abcd", "xabcx", "ABCDE", "order.created", "Order.Created"),
    *('a"', '"a', "*", "a*b", "1", "300", "1e400", "123456789012345678901", "true", "null", "12:30", "300.1.1.1"),
    *("ß", "SS", "ss", "straße", "STRASSE", "ǅ", "ı", "I", "i", "K", "\u212a", "ς", "Σ", "😀", "??", "é", "ﬁ", "FI"),
    *("10.0.0.1", "010.0.0.1", "10.0.0.255", "::ffff:10.0.0.1", "2001:db8::1", "2001:DB8:0::1", "32.1.13.184"),
]
NUMBERS = [
    *("0", "-0", "1", "1.0", "2", "3", "3.5", "300", "3e2", "300.0", "-7", "0.1", "1e-400", "1e400"),
    *("9007199254740993", "9007199254740992", "123456789012345678901", "123456789012345678901.0"),
]
BLOCKS = ["10.0.0.0/8", "10.0.0.0/31", "::/0", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1/127", "0.0.0.0/1"]
BOUNDS = [-7, 0, 0.1, 1, 2, 3, 3.5, 300]
STARS = ["*%s", "%s*", "*%s*", "a*%s*", "*%s*b", "%s"]
NAMES = ["source", "detail", "a", "b", "a.b", ""]
OPERATORS = ["equals", "numeric", "affix", "affix", "wildcard", "but", "exists", "cidr", "any case", "exactly"]


# what is made of a text
OF_TEXTS = [
    *("{0}", '{{"exactly":{0}}}', '{{"prefix":{0}}}', '{{"suffix":{0}}}', '{{"equals-ignore-case":{0}}}'),
    *('{{"prefix":{{"equals-ignore-case":{0}}}}}', '{{"suffix":{{"equals-ignore-case":{0}}}}}'),
    *('{{"anything-but":{0}}}', '{{"anything-but":{{"equals-ignore-case":{0}}}}}'),
]


def test_every_operator_with_every_value():
    """One index has all operators with all texts and numbers: the conditions that a value fulfils are candidates."""
    texts = [json.dumps(text) for text in TEXTS]
    conditions = [form.format(text) for form in OF_TEXTS for text in texts]
    conditions += [json.dumps({"wildcard": form % text}) for form in STARS for text in TEXTS]
    conditions += [*NUMBERS, '{"exists":true}', '{"exists":false}', "true", "false", "null"]
    conditions += [f'{{"cidr":"{block}"}}' for block in BLOCKS]
    conditions += [f'{{"numeric":["{name}",{bound}]}}' for name in ("=", "<", "<=", ">", ">=") for bound in BOUNDS]
    conditions += [f'{{"numeric":[">",{low},"<=",{high}]}}' for low in BOUNDS for high in BOUNDS if low < high]
    patterns = valid(f'{{"a":[{condition}]}}' for condition in conditions)
    assert len(patterns) > len(conditions) * 0.95
    index = Index([pattern.certain for pattern in patterns])
    for value in [*texts, *NUMBERS, *map(str, BOUNDS), "2.5", "3.2", "true", "false", "null", "[]", "{}"]:
        matching, candidates = compare(patterns, flatten_event(f'{{"a":{value}}}'), index)
        assert matching <= candidates, value


def test_rules_with_several_long_lists_are_found():
    """Their combinations would need too many places in the index."""
    dice = random.Random(1)
    values = range(20)
    patterns = [Pattern({name: dice.sample(values, 12) for name in "abc"}) for _ in range(300)]
    index = Index([pattern.certain for pattern in patterns])
    for _ in range(50):
        matching, candidates = compare(patterns, flatten_event({name: dice.choice(values) for name in "abc"}), index)
        assert matching <= candidates
        assert len(candidates) < 200


def test_only_ranges_that_contain_a_number_are_candidates():
    """Of many ranges that overlap those that hold a number are candidates, and no others."""
    dice = random.Random(1)
    ranges = [sorted((dice.random(), dice.random())) for _ in range(300)]
    patterns = [Pattern({"a": [{"numeric": [">=", low, "<=", high]}]}) for low, high in ranges]
    index = Index([pattern.certain for pattern in patterns])
    for value in [*(dice.random() for _ in range(100)), *(low for low, _ in ranges), *(high for _, high in ranges)]:
        matching, candidates = compare(patterns, flatten_event({"a": value}), index)
        assert matching == candidates


class Dice:
    """Generates random patterns and events as JSON text, with duplicate keys and all forms of numbers."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self):
        number = self.random.random()
        if number < 0.55:
            return json.dumps(self.random.choice(TEXTS))
        return self.random.choice(NUMBERS) if number < 0.85 else self.random.choice(["true", "false", "null"])

    def text(self):
        return json.dumps(self.random.choice(TEXTS))

    def range(self):
        low, high = sorted(self.random.sample(BOUNDS, 2))
        above, below = self.random.choice(['">"', '">="']), self.random.choice(['"<"', '"<="'])
        forms = [f'["=",{low}]', f"[{below},{high}]", f"[{above},{low}]", f"[{above},{low},{below},{high}]"]
        return self.random.choice(forms)

    def star(self):
        if self.random.random() < 0.3:
            return self.random.choice(['"*abc*"', '"*bcd*"', '"a*BCD*E"', '"*order*"', '"*bcx*x"', '"*.0.*1"'])
        letters = "".join(self.random.choices("aAbBcd.*\\", k=self.random.randint(0, 6)))
        return json.dumps(letters.replace("**", "*").replace("\\", "\\\\"))

    def affix(self):
        text = self.text() if self.random.random() < 0.6 else json.dumps(self.random.choice(TEXTS)[:2])
        anyhow = f'{{"equals-ignore-case":{text}}}' if self.random.random() < 0.4 else text
        name = self.random.choice(["prefix", "suffix"])
        return f'{{"{name}":{anyhow}}}'

    def but(self):
        inner = self.random.choice(["prefix", "suffix", "wildcard", "equals-ignore-case", "", "", "number"])
        if inner == "number":
            return '{"anything-but":[1,300]}'
        text = self.star() if inner == "wildcard" else self.text()
        return f'{{"anything-but":{{"{inner}":{text}}}}}' if inner else f'{{"anything-but":[{text},"abc"]}}'

    def condition(self):
        match self.random.choice(OPERATORS):
            case "equals":
                return self.value()
            case "numeric":
                return f'{{"numeric":{self.range()}}}'
            case "affix":
                return self.affix()
            case "wildcard":
                return f'{{"wildcard":{self.star()}}}'
            case "but":
                return self.but()
            case "exists":
                return self.random.choice(['{"exists":true}', '{"exists":false}'])
            case "cidr":
                return f'{{"cidr":"{self.random.choice(BLOCKS)}"}}'
            case "any case":
                return f'{{"equals-ignore-case":{self.text()}}}'
        return f'{{"exactly":{self.text()}}}'

    def field(self, depth):
        if depth and self.random.random() < 0.45:
            return self.fields(depth - 1)
        return f"[{','.join(self.condition() for _ in range(self.random.choice([1, 1, 1, 2, 3])))}]"

    def fields(self, depth=2):
        names = self.random.choices(NAMES, k=self.random.choice([1, 1, 2, 3]))
        members = [f'"{name}":{self.field(depth)}' for name in names]
        if self.random.random() < 0.1:
            alternatives = ",".join(self.fields(depth - 1 if depth else 0) for _ in range(self.random.choice([2, 3])))
            members.append(f'"$or":[{alternatives}]')
        return f"{{{','.join(members)}}}"

    def pattern(self):
        while True:
            try:
                return Pattern(self.fields())
            except PatternError:
                continue

    def element(self, depth):
        kind = self.random.random()
        if depth == 0 or kind < 0.4:
            return self.value()
        if kind < 0.75:
            return self.event(depth - 1)
        return f"[{','.join(self.element(depth - 1) for _ in range(self.random.randint(0, 4)))}]"

    def event(self, depth=4):
        names = self.random.choices(NAMES, k=self.random.randint(0, 6))
        return "{" + ",".join(f'"{name}":{self.element(depth)}' for name in names) + "}"


SETS, EVENTS = 600, 12


def rule_set(seed):
    """Returns up to sixty rules, and events of which some match."""
    dice = Dice(seed)
    patterns = [dice.pattern() for _ in range(dice.random.randint(1, 60))]
    return patterns, [flatten_event(dice.event()) for _ in range(EVENTS)]


@pytest.mark.slow
def test_no_matching_rule_of_a_random_set_is_lost():
    """The rules use all operators, the events have duplicate keys and arrays of objects."""
    matches = tried = every = 0
    for seed in range(SETS):
        patterns, events = rule_set(seed)
        index = Index([pattern.certain for pattern in patterns])
        for leaves in events:
            matching, candidates = compare(patterns, leaves, index)
            assert matching <= candidates, seed
            matches, tried, every = matches + len(matching), tried + len(candidates), every + len(patterns)
    assert matches > 8_000
    assert tried < every / 4


@pytest.mark.parametrize("kind", lookups.LOOKUPS)
def test_the_random_sets_detect_a_lookup_that_finds_nothing(kind, monkeypatch):
    """Each kind of lookup is broken once."""
    monkeypatch.setitem(lookups.LOOKUPS, kind, lambda filed: lambda value: ())

    def loses(seed: int) -> bool:
        patterns, events = rule_set(seed)
        index = Index([pattern.certain for pattern in patterns])
        return any(matching - found for matching, found in (compare(patterns, leaves, index) for leaves in events))

    assert any(loses(seed) for seed in range(SETS)), "nobody noticed"


# --- few are tried ----------------------------------------------------------------------------------------------------

ORDER = {
    "source": "shop-7",
    "detail-type": "order.created",
    "detail": {
        "id": "o-00700",
        "file": "in/00700/order.csv",
        "total": 700,
        "tags": ["a", "b"],
        "items": [{"sku": "s-1"}, {"sku": "s-00700"}],
        "ip": "10.7.0.1",
    },
}


# a rule made of a number, of which few hold for the order
@pytest.mark.parametrize(
    "rule",
    [
        lambda n: {"detail": {"id": [f"o-{n:05}"]}},
        lambda n: {"source": [f"shop-{n % 40}"], "detail-type": ["order.created"], "detail": {"total": [n]}},
        lambda n: {"source": [f"shop-{n % 40}"], "detail": {"tags": ["a"], "items": {"sku": [f"s-{n % 41}"]}}},
        lambda n: {"source": ["shop-7", "shop-8"], "detail": {"id": [{"prefix": f"o-{n:05}"}, f"x-{n}"]}},
        lambda n: {"detail": {"id": [{"suffix": f"-{n:05}"}], "gone": [{"exists": False}]}},
        lambda n: {"detail": {"id": [{"equals-ignore-case": f"O-{n:05}"}]}},
        lambda n: {"detail": {"id": [{"prefix": {"equals-ignore-case": f"O-{n:05}"}}]}},
        lambda n: {"detail": {"file": [{"wildcard": f"*/{n:05}/*"}], "id": [{"anything-but": "x"}]}},
        lambda n: {"detail": {"file": [{"wildcard": f"in/{n:05}/*.csv"}]}},
        lambda n: {"detail": {"total": [{"numeric": [">", n - 2, "<=", n]}]}},
        lambda n: {"source": ["shop-7"], "detail": {"total": [{"numeric": ["=", n]}]}},
        lambda n: {"detail": {"ip": [{"cidr": f"10.{n % 256}.{n // 256}.0/24"}]}},
        lambda n: {"detail": {"ip": [f"10.{n % 256}.{n // 256}.1"]}},
        lambda n: {"$or": [{"detail": {"id": [f"o-{n:05}"]}}, {"detail": {"total": [n]}}]},
        lambda n: {"detail": {f"field-{n}": [{"exists": True}]}},
    ],
)
def test_few_of_many_different_rules_are_tried(rule):
    """Of 2,000 rules at most four are tried in addition to those that match."""
    patterns = [Pattern(rule(number)) for number in range(2_000)]
    matching, candidates = compare(patterns, flatten_event(ORDER), Index([pattern.certain for pattern in patterns]))
    assert matching <= candidates
    assert len(candidates) <= len(matching) + 4


def test_a_thousand_equal_rules_are_indexed_quickly():
    """All of them match."""
    rule = {"detail": {"file": [{"wildcard": "in*700*order*"}], "tags": ["a", "c"], "id": [{"prefix": "o-"}]}}
    patterns = [Pattern(rule)] * 1_000
    started = time.process_time()
    assert candidates_of(Index([pattern.certain for pattern in patterns]), flatten_event(ORDER)) == set(range(1_000))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("value", ["ab" * 500_000, [f"x{number}" for number in range(20_000)], list(range(20_000))])
def test_long_strings_and_arrays_do_not_slow_the_lookup(value):
    """Neither a long text nor many values make looking up slow."""
    conditions = [{"wildcard": "*abc{0}*"}, {"prefix": "{0}"}, {"suffix": "b{0}"}, {"numeric": ["<", -1]}, "{0}"]
    rules = [
        Pattern(json.dumps({"a": [condition]}).replace("{0}", f"y{number}"))
        for number in range(200)
        for condition in conditions
    ]
    started = time.process_time()
    assert len(candidates_of(Index([rule.certain for rule in rules]), flatten_event({"a": value}))) < 200
    assert time.process_time() - started < 2


def test_matching_routes_have_the_order_of_the_file():
    """Disabled routes and those that do not match are omitted."""
    patterns = {
        "z": {"detail": {"total": [700]}},
        "off": {"source": ["shop-7"]},
        "no": {"source": ["shop-8"]},
        "a": {"source": ["shop-7"], "gone": [{"exists": False}]},
        "m": {"gone": [{"exists": False}]},
    }
    routes = Routes([Route(name, Pattern(p), ("handler",), enabled=name != "off") for name, p in patterns.items()])
    assert [route.name for route in routes.match(json.dumps(ORDER))] == ["z", "a", "m"]
    assert [route.name for route in Routes([]).match(ORDER)] == []
