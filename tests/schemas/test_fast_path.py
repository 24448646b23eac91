"""The fast path proves only those events to be valid that are valid in the slow path, too."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from evtool.events.event import Event, EventDefaults
from evtool.readers.files import SourceText
from evtool.schemas.fast_path import FastPath
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.schemas.validator import Schemas
from tests.conftest import ROOT, Evtool

CASES = ROOT / "tests" / "cases"
ORDER = json.loads((ROOT / "samples" / "events" / "order-created.json").read_text(encoding="utf-8"))
CLOUD_EVENT = json.loads((ROOT / "samples" / "events" / "order-created.cloudevents.json").read_text(encoding="utf-8"))
ANY = {"source": "any", "detail-type": "any", "id": "1"}
DEFAULTS = EventDefaults(lambda: "id", lambda: "2026-01-01T00:00:00Z")
TOKENS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\r",
    b" ",
    b"0",
    b"1e999",
    b"-",
    b"null",
    b"\xff",
    b"\t",
    b'"id":"x",',
    b"}{",
]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    """The schemas of the shop, and one that accepts any object. All were used once, as the fast path requires."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "any.json").write_text('{"type": "object"}', encoding="utf-8")
    rules = Rules(Schemas([ROOT / "samples" / "schemas", folder]))
    for event in (ORDER, CLOUD_EVENT, {**ANY, "detail": {}}):
        assert is_valid(json.dumps(event).encode(), rules)
    return rules


def is_valid(line: bytes, rules: Rules) -> bool:
    """Whether the slow path finds one valid event, and nothing else, in a line."""
    results = list(validate_events([SourceText("f", 1, 1, line.strip(b" \t\r\n"))], rules, DEFAULTS))
    return len(results) == 1 and results[0].is_valid


def check(lines: list[bytes], rules: Rules) -> int:
    """Asserts that no invalid line is proven, together or alone. Returns the number of proven lines."""
    assert rules.schemas is not None
    fast_path = FastPath(rules.schemas.find_check)
    proven = fast_path.prove_lines(b"".join(line + b"\n" for line in lines))
    alone = [FastPath(rules.schemas.find_check).prove_lines(line) for line in lines]

    assert len(proven) == len(lines)
    assert alone == [[is_proven] for is_proven in proven]
    documents = [line for line in lines if FastPath(rules.schemas.find_check).prove_document(line)]
    assert [line for line in documents if not is_valid(line, rules)] == []
    assert not [line for line, is_proven in zip(lines, proven, strict=True) if is_proven and not is_valid(line, rules)]
    assert fast_path.proven == sum(proven)
    return sum(proven)


def mutate(line: bytes, chance: random.Random) -> bytes:
    """The line with one to three small changes."""
    for _ in range(chance.randrange(1, 4)):
        start, size = chance.randrange(len(line)), chance.choice([0, 0, 1, 5])
        line = line[:start] + chance.choice([b"", *TOKENS]) + line[start + size :]
    return line.replace(b"\n", b"")


def list_documents() -> Iterator[bytes]:
    """The JSON texts of the corpora, good and bad, without line breaks."""
    for file in sorted((CASES / "json").iterdir()):
        yield file.read_bytes().replace(b"\n", b" ")
    for row in (CASES / "jsontestsuite" / "parsing.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(row).get("text", "").encode().replace(b"\n", b" ")


def test_ordinary_events_are_proven(rules: Rules) -> None:
    """In both envelopes, compact or not, with LF or CRLF."""
    for event in (ORDER, CLOUD_EVENT):
        for separators in ((",", ":"), (", ", ": ")):
            line = json.dumps(event, separators=separators, ensure_ascii=False).encode()
            assert check([line] * 20, rules) == 20
            assert check([line + b"\r"] * 20, rules) == 20


def test_invalid_json_of_the_corpora_is_not_proven(rules: Rules) -> None:
    """Each text as the payload, as a value in it, and as the whole line."""
    head = json.dumps(ANY).encode()[:-1]
    lines = [
        line
        for text in list_documents()
        for line in (head + b', "detail": ' + text + b"}", head + b', "detail": {"a": ' + text + b"}}", text)
    ]
    assert check(lines, rules) > 90


def test_events_are_those_of_the_slow_path(rules: Rules) -> None:
    """A proven event has the same fields, also if it is written over several lines."""
    head = json.dumps(ANY).encode()[:-1]
    texts = [head + b', "detail": {"a": ' + text + b"}}" for text in list_documents()]
    broken, whole = (b'{"text": "a' + space + b'"}' for space in (b"\n", b" "))
    texts += [head + b', "time": "2026-10-01T10:00:00Z", "detail": ' + detail + b"}" for detail in (broken, whole)]
    texts += [json.dumps(event, indent=2).encode() for event in (ORDER, CLOUD_EVENT)]
    sources = [SourceText("f", 1, 1, text) for text in texts]
    fast_path = FastPath(rules.find_check)
    slow = [list(validate_events([source], rules, DEFAULTS)) for source in sources]
    fast = [list(validate_events([source], rules, DEFAULTS, fast_path=fast_path)) for source in sources]
    together = list(validate_events(sources, rules, DEFAULTS, fast_path=fast_path))
    proven = fast_path.read_events(sources)

    assert sum(event is not None for event in proven) > 80
    assert [is_known(event) for event in proven[-4:]] == [False, True, True, True]
    for results in ([result for one in fast for result in one], together):
        assert [describe(result) for result in results] == [describe(result) for one in slow for result in one]


def is_known(event: Event | None) -> bool:
    """Whether an event is proven."""
    return event is not None


def describe(result: ValidationResult) -> object:
    """A result with the whole document of its event."""
    event = result.event and result.event._replace(document=dict(result.event.document))
    return result._replace(event=event)


@pytest.mark.parametrize("seed", range(8))
def test_invalid_mutants_are_not_proven(seed: int, rules: Rules) -> None:
    """Mutants are good events with small changes, among good events."""
    chance = random.Random(seed)
    good = [json.dumps(event).encode() for event in (ORDER, CLOUD_EVENT, {**ANY, "detail": {"a": [1, {"b": None}]}})]
    for _ in range(40):
        lines = [mutate(line, chance) if chance.random() < 0.6 else line for line in chance.choices(good, k=8)]
        check(lines, rules)


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"1","id":"2","source":"any","detail-type":"any","detail":{}}',
        b'{"id":"1","source":"any","detail-type":"any","detail":{"a":{"b":1,"b":1}}}',
        b'{"id":"1","source":"any","detail-type":"any","detail":{"a":' + b"[" * 200 + b"]" * 200 + b"}}",
        b'{"id":"1","source":"any","detail-type":"any","detail":{"a":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}}",
        b'{"id":"1","source":"any","detail-type":"any","detail":{"a":' + b"1" * 4301 + b"}}",
        b'{"id":"1","source":"any","detail-type":"any","detail":{"a":1e400}}',
        b'{"id":"1","source":"any","detail-type":"any","detail":{},"time":"2026-02-30T00:00:00Z"}',
        b'{"id":"1","source":"any","detail-type":"any","detail":{},"account":1}',
        b'{"id":"","source":"any","detail-type":"any","detail":{}}',
        b'{"id":"1\\u0000","source":"any","detail-type":"any","detail":{}}',
        b'{"id":"1","source":"any","detail-type":"any","detail":{}}{"id":"2","source":"any","detail-type":"any","detail":{}}',
        b'{"specversion":"1.1","id":"1","source":"any","type":"any","data":{}}',
        b'{"specversion":"1.0","id":"1","source":"any","type":"any","data":{},"Subject":"x"}',
    ],
)
def test_invalid_events_are_not_proven(line: bytes, rules: Rules) -> None:
    """One kind of fault each, alone and between good events."""
    assert not is_valid(line, rules)
    good = json.dumps({**ANY, "detail": {}}).encode()
    assert check([good, line, good], rules) == 2


def test_events_across_lines_are_not_proven(rules: Rules) -> None:
    """Two events on one line and one event on two lines are three events on three lines."""
    event = json.dumps({**ANY, "detail": {}}).encode()
    assert check([event + event, event[:-1], b"}"], rules) == 0


@pytest.mark.parametrize("form", ["lines", "packed lines", "stdin", "compact array", "indented array", "packed array"])
def test_validate_reports_the_same_in_every_form(form: str, shop: Path, evtool: Evtool) -> None:
    """All events of several blocks are counted, proven or not. Each finding has its line and column."""
    wrong = {**ORDER, "detail": {**ORDER["detail"], "orderTotal": "1"}}
    events = [wrong if number in (1, 2, 150, 400) else ORDER for number in range(1, 401)]
    if "array" in form:
        text = json.dumps(events, indent=2 if form.startswith("indented") else None)
    else:
        text = "\n".join(map(json.dumps, events))
    name = ("a.json" if "array" in form else "a.jsonl") + (".gz" if form.startswith("packed") else "")
    (shop / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    if form == "stdin":
        result = evtool("validate", "-", "-o", "json", cwd=shop, stdin=text.encode()).json
    else:
        result = evtool("validate", name, "-o", "json", cwd=shop).json

    assert result["summary"] == {"events": 400, "valid": 396, "invalid": 4, "files": 1}
    lines = text.split("\n")
    places = [(line, start + 1) for line, row in enumerate(lines, 1) for start in find_all(row, '"1",')]
    assert [(finding["line"], finding["column"]) for finding in result["findings"]] == places


def find_all(text: str, part: str) -> list[int]:
    """The positions of a part in a text."""
    return [match.start() for match in re.finditer(re.escape(part), text)]


def test_array_is_proven_if_all_elements_are_valid(rules: Rules) -> None:
    """The whitespace around the elements does not matter."""
    assert rules.schemas is not None
    event = json.dumps({**ANY, "detail": {}}).encode()
    for elements, is_proven in [
        (event, True),
        (event + b",\n " + event, True),
        (event + event, False),
        (event + b",", False),
        (event + b",1", False),
        (event + b"],[" + event, False),
        (event + b', {"id": "1", ' + event[1:], False),
    ]:
        fast_path = FastPath(rules.schemas.find_check)
        assert fast_path.prove_elements(elements) is is_proven
        assert fast_path.proven == is_proven * elements.count(b'"detail"')
