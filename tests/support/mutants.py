"""Mutated texts, and for each kind of text a judge that knows the permitted results of reading it.

A judge raises whatever comes out that is not documented, or AssertionError; what it returns says whether the text is
well-formed.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import EventDefaults
from evtool.events.payload_identity import PayloadIdentity
from evtool.findings.codes import CODES
from evtool.findings.finding import Finding
from evtool.readers.files import MAX_BYTES, SourceText, read_texts
from evtool.readers.json_text import JsonProblem, find_spans, parse_json
from evtool.readers.yaml_text import load_yaml
from evtool.routes import project as project_file
from evtool.routes.routes import load_routes
from evtool.schemas.validation import Rules, validate_events
from evtool.schemas.validator import Schemas
from tests.conftest import ROOT

CASES = ROOT / "tests" / "cases"
STAMP = EventDefaults(lambda: "id", lambda: "2026-11-23T10:00:00Z")
BLANK = b" \t\r\n"

ODD = (
    b"",
    b"\x00",
    b"\xff",
    b"\t",
    b"\r",
    b"\n",
    b"'",
    b'"',
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"-",
    b".",
    b"0",
)
JSON = (
    *(
        *ODD,
        b"\\ud800",
        b"\\u0041",
        b"\\u0000",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        "😀".encode(),
        b"null",
        b"NaN",
        b"1e999",
    ),
    *(b"9" * 400, b"9" * 5000, b"[" * 300, b'{"a":' * 3000, b'"detail":5', b'"specversion":"1.0"', b'"Entries":[{}]'),
    *(b'"detail-type":[]', b'"time":0', b'"Detail":"[]"'),
)
YAML = (
    *(*ODD, b": ", b"- ", b"\n  ", b"&a ", b"*a", b"!!x ", b"? ", b"| ", b"<<: ", b"~", b"#", b"%YAML 1.2\n", b"---\n"),
    *(b'"\\ud800"', b'"\\U12345678"', b"0x", b"1" * 1200, b"...\n", b"\xc2\x85", "\u2028".encode(), b"kind python"),
    *(b"[key]", b": " + b"[" * 700, b"null", b"-1", b"1e999"),
)


class Case(NamedTuple):
    """A parsing case of JSONTestSuite, and the result of evtool: `taken`, or the code of the finding."""

    name: str
    raw: bytes
    verdict: str


class Kind(NamedTuple):
    """A kind of text: correct texts to begin with, the parts that are put into them, and the judge of the result."""

    texts: Sequence[bytes]
    tokens: Sequence[bytes]
    judge: Callable[[bytes, Path], bool]  # may write into the folder


@cache
def suite() -> tuple[Case, ...]:
    """Lists the parsing cases of JSONTestSuite."""
    lines = (CASES / "jsontestsuite" / "parsing.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_case(json.loads(line)) for line in lines)


def _case(row: Mapping[str, str]) -> Case:
    raw = row["text"].encode() if "text" in row else zlib.decompress(base64.b64decode(row["packed"]))
    return Case(row["name"], raw, row["verdict"])


def mutants(kind: Kind, chance: Random) -> Iterator[bytes]:
    """Yields texts with some of their parts moved, doubled, cut and changed; the same ones for the same seed."""
    while True:
        text = chance.choice(kind.texts)
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(text) + 1)
            until = at + chance.choice((0, 0, 1, 3, 10, 40, 200))
            put = chance.choice((chance.choice(kind.tokens), bytes([chance.randrange(256)]), text[at : at + 40], b""))
            if chance.random() < 0.1:
                put = chance.choice(kind.texts)[:100]
            text = text[:at] + put + text[until:]
        yield text


# --- judges ----------------------------------------------------------------------------------------------------------


def _outcome(read: Callable[[bytes], Any], raw: bytes) -> tuple[Any, tuple[Any, ...]]:
    """Reads a text. Returns its value, or the arguments of its problem."""
    try:
        return read(raw), ()
    except JsonProblem as error:
        return None, error.args


def _assert_reportable(findings: Sequence[Finding]) -> None:
    """Asserts that every finding has a known code and a location, and can be written as JSON."""
    for finding in findings:
        assert finding.code in CODES
        assert finding.line is not None
        assert finding.column is not None
    json.dumps([finding.as_dict() for finding in findings])


def _json(raw: bytes, _: Path) -> bool:
    """Asserts the value of the standard parser, or one problem, which the scanner of locations has, too."""
    value, refusal = _outcome(parse_json, raw)
    if refusal:
        assert refusal[0] in CODES
    if not refusal or refusal[0] != "EV007":  # places are asked for at any depth
        assert _outcome(find_spans, raw)[1] == refusal
    assert refusal or repr(value) == repr(json.loads(raw.decode("utf-8-sig")))
    return not refusal


@cache
def _rules() -> Rules:
    return Rules(Schemas([ROOT / "samples" / "schemas"]))


def _verdicts(pieces: Sequence[SourceText | Finding]) -> bool:
    verdicts = list(validate_events(pieces, _rules(), STAMP, identity=PayloadIdentity(type="order.created")))
    for verdict in verdicts:
        _assert_reportable(verdict.findings)
    return bool(verdicts) and all(verdict.is_valid for verdict in verdicts)


def _events(raw: bytes, _: Path) -> bool:
    """Asserts that a stream with a value, an array or lines is read as events or findings."""
    return _verdicts(list(read_texts(["-"], stdin=BytesIO(raw))))


def _lines(raw: bytes, folder: Path) -> bool:
    """Asserts that every line that is not blank is read unchanged, whatever the other lines are."""
    file = folder / "mutant.jsonl"
    file.write_bytes(raw)
    pieces = list(read_texts([str(file)], stdin=BytesIO()))
    first_line = raw.removeprefix(b"\xef\xbb\xbf").lstrip(BLANK).partition(b"\n")
    if first_line[1] and first_line[0].strip(BLANK) in (b"{", b"["):
        return _verdicts(pieces)  # a document over several lines
    lines = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not json.detect_encoding(lines[0].strip(BLANK)).startswith("utf-8"):
        lines = lines[:1]  # another encoding is told once
    wanted = [(number, line.strip(BLANK)) for number, line in enumerate(lines, 1)]
    wanted = [(number, line) for number, line in wanted if 0 < len(line) <= MAX_BYTES]
    assert [(piece.line, piece.raw) for piece in pieces if isinstance(piece, SourceText)] == wanted
    return _verdicts(pieces)


def _configured(read: Callable[[], object]) -> bool:
    """Asserts that a file is accepted, or refused by a ConfigError with findings."""
    try:
        read()
    except ConfigError as error:
        findings = error.findings
    else:
        return True
    assert findings
    _assert_reportable(findings)
    return False


def _yaml(raw: bytes, _: Path) -> bool:
    return _configured(lambda: load_yaml(raw, "mutant.yaml"))


def _routes(raw: bytes, folder: Path) -> bool:
    file = folder / "routes.yaml"
    file.write_bytes(raw)
    return _configured(lambda: load_routes(project_file.require_project(str(file))))


# --- the kinds -------------------------------------------------------------------------------------------------------


def _files(*patterns: str) -> list[bytes]:
    return [file.read_bytes() for pattern in patterns for file in sorted(ROOT.glob(pattern))]


def _json_kind() -> Kind:
    own = [text for text in _files("tests/cases/json/*.json") if len(text) < 1000]
    return Kind([case.raw for case in suite()] + own, JSON, _json)


def _lines_kind() -> Kind:
    chance = Random(0)
    events = [b" ".join(text.split()) for text in _files("samples/events/*.json", "samples/invalid/*.json")]
    small = [case.raw for case in suite() if len(case.raw) < 100] + events
    files = [b"\n".join(chance.choices(small, k=chance.randint(1, 12))) for _ in range(200)]
    return Kind(files, (*JSON, b"\r\n", b"\n\n", "\u2028".encode(), b"\x0b", b"\x0c", b"\x1c"), _lines)


KINDS: Mapping[str, Callable[[], Kind]] = {
    "json": _json_kind,
    "events": lambda: Kind(_files("samples/events/*.json*", "samples/invalid/*.json*"), JSON, _events),
    "lines": _lines_kind,
    "yaml": lambda: Kind([text for text in _files("tests/cases/yaml/*.yaml") if len(text) < 1000], YAML, _yaml),
    "routes": lambda: Kind(_files("tests/cases/routes/*/*.yaml", "routes.yaml"), YAML, _routes),
}
