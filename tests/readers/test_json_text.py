"""JSON text: what is accepted, what is refused and where, and the positions of values.

The corpus is tests/cases/json: y_*.json is well-formed, n_CODE_LINE-COLUMN_*.json is refused with this code there.
"""

import json
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evtool.findings.codes import CODES
from evtool.readers import json_text
from evtool.readers.json_text import JsonProblem, Span, find_spans, parse_json
from tests.conftest import ROOT

CASES = sorted((ROOT / "tests/cases/json").iterdir())
GOOD = [case for case in CASES if case.name.startswith("y_")]
BAD = [case for case in CASES if case.name.startswith("n_")]


def problem(raw: bytes, **options: int) -> JsonProblem:
    """Returns the problem of a text."""
    with pytest.raises(JsonProblem) as caught:
        parse_json(raw, **options)
    return caught.value


def outcome(read: Callable[[bytes], Any], raw: bytes) -> tuple[Any, tuple[Any, ...]]:
    """Returns the value of a text, or its problem."""
    try:
        return read(raw), ()
    except JsonProblem as error:
        return None, error.args


def resolved(value: Any, pointer: str) -> Any:
    """Returns the value at a JSON Pointer."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_well_formed_text_has_its_value(case: Path) -> None:
    """Integers are exact, other numbers are floats."""
    raw = case.read_bytes()

    assert repr(parse_json(raw)) == repr(json.loads(raw.decode("utf-8-sig")))


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_refused_text_has_code_and_position(case: Path) -> None:
    """And a message, the line, the column and the byte offset."""
    _, code, place, _ = case.stem.split("_")
    raw = case.read_bytes()

    found = problem(raw)

    assert f"{found.code}_{found.line}-{found.column}" == f"{code}_{place}"
    assert found.code in CODES
    assert str(found) == found.message != ""
    before = raw[: found.offset].decode("utf-8-sig", "replace").split("\n")
    assert (len(before), len(before[-1]) + 1) == (found.line, found.column)


@pytest.mark.parametrize("case", [case for case in CASES if "EV007" not in case.name], ids=lambda case: case.stem)
def test_both_scanners_refuse_the_same_texts(case: Path) -> None:
    """The one with positions and the fast one, for the same reason."""
    raw = case.read_bytes()

    value, refusal = outcome(parse_json, raw)
    spans, same_refusal = outcome(find_spans, raw)

    assert refusal == same_refusal
    assert refusal or parse_json(raw[spans[""].start : spans[""].end]) == value


def test_the_fast_parser_agrees_with_the_strict_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts only texts that the strict one accepts, with the same value: all cases, and mutants of them."""
    chance = random.Random(3)
    files = [*CASES, *(ROOT / "tests/cases/jsontestsuite").iterdir(), *(ROOT / "samples/events").iterdir()]
    texts = [file.read_bytes() for file in files if file.stat().st_size < 10_000]
    pieces = [b'"', b'"a": 1,', b'"a"', b"[", b"]", b"{", b"}", b",", b":", b" ", b"\xff"]
    pieces += [b"-0", b"1e999", b"1.0", b"9" * 30]
    for text in list(texts):
        for _ in range(20):
            at = chance.randrange(len(text) + 1)
            texts.append(text[:at] + chance.choice(pieces) + text[at + chance.choice([0, 0, 1, 3]) :])

    found = [repr(outcome(parse_json, text)) for text in texts]
    taken = sum(is_fast(text) for text in texts)
    monkeypatch.setattr(json_text, "_parse_fast", refuse)

    assert found == [repr(outcome(parse_json, text)) for text in texts]
    assert taken > 100


def is_fast(text: bytes) -> bool:
    """Returns whether the fast parser accepts a text."""
    try:
        json_text._parse_fast(text)
    except json_text.UNDECODABLE:
        return False
    return True


def refuse(_: bytes) -> None:
    """A fast parser that accepts nothing."""
    raise ValueError


def test_json_of_the_standard_library_is_read_back() -> None:
    """With and without escapes."""
    chance = random.Random(2)
    letters = 'a"\\/\n\u0000é\u2028😀\ud7ff'

    def value(depth: int) -> Any:
        kind = chance.randrange(8 if depth else 6)
        if kind == 6:
            return [value(depth - 1) for _ in range(chance.randrange(4))]
        if kind == 7:
            return {"".join(chance.choices(letters, k=3)): value(depth - 1) for _ in range(chance.randrange(4))}
        return [None, True, chance.getrandbits(80), chance.random(), "".join(chance.choices(letters, k=5)), -1][kind]

    for _ in range(300):
        wanted = value(5)
        for options in ({"ensure_ascii": False}, {"indent": 2}):
            raw = json.dumps(wanted, **options).encode()  # type: ignore[arg-type]
            assert parse_json(raw) == wanted
            for pointer, span in find_spans(raw).items():
                assert parse_json(raw[span.start : span.end]) == resolved(wanted, pointer)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1, "a": 2}', 'the key "a" occurs twice in this object, first at 1:2'),
        (b'{"a": 1}\n{"b": 2}', "write one event per line into a .jsonl file"),
        ('{"a": 1}'.encode("utf-16"), "save the file as UTF-8"),
        ("é".encode("latin-1"), "save the file as UTF-8"),
        (b"[True]", "small letters"),
        (b"[None]", "did you mean null?"),
        (b"[nil]", "did you mean null?"),
        (b"[yes]", "write strings in double quotes"),
        (b"[-007]", "-007 is not a number: it has a leading zero"),
        (b"[.5]", ".5 is not a number"),
        (b"[NaN]", "use null for a missing number"),
        (b"[1 // one", "no comments"),
        (b"[# one", "no comments"),
        (b"[/* one", "no comments"),
        (b"[1 2]", '"," or "]" is expected here, not \'2\''),
        (b"{1: 2}", "write keys in double quotes"),
        (b'"\\q"', r"\q is not an escape"),
        (b'"\\u00g0"', "four hexadecimal digits"),
        (b'"a\nb"', "not closed on its line"),
        (b"{'a': 1}", "double quotes"),
        (b'{"a": [1, {"b": 2', "is the text cut off?"),
        (b'{"a": [1, {"b": 2', "the object that begins at 1:11"),
        (b'{"a": 1,}', 'a comma before "}"'),
        (b"9" * 5000, "5000 digits"),
        (b'"a\tb"', r"\u0009"),
    ],
)
def test_a_problem_has_a_message_or_hint_that_helps(raw: bytes, said: str) -> None:
    found = problem(raw)

    assert said in f"{found.message} ({found.hint})"


@pytest.mark.parametrize(("raw", "underlined"), [(b'{"ab": 1, "ab": 2}', '"ab"'), (b"[-Infinity]", "-Infinity")])
def test_the_width_of_a_problem_is_that_of_the_word(raw: bytes, underlined: str) -> None:
    found = problem(raw)

    assert raw.decode()[found.column - 1 :][: found.width] == underlined


def test_the_limit_of_depth_is_an_argument() -> None:
    """Brackets in strings, and brackets that are not nested, do not count."""
    raw = b'{"a": [[], [], "[[[[", {"b": "\\"{{{"}]}'

    assert parse_json(raw, max_depth=3)["a"][3]["b"] == '"{{{'
    assert problem(raw, max_depth=2).code == "EV007"
    assert problem(b"[" * 100_000 + b"]" * 100_000, max_depth=10**9).code == "EV007"  # beyond what Python can


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 201 + b'"' + b'\\"' * 500_000,
        b"[" * 201 + b'"' * 1_000_001,
        b'"' + b"\\ud83d" * 150_000 + b'"',
        b"1" * 1_000_000,
        b'{"a":' * 150_000,
        b"\\" * 1_000_000,
    ],
    ids=["quotes in a string", "quotes", "surrogates", "digits", "objects", "backslashes"],
)
def test_hostile_text_is_refused_in_linear_time(raw: bytes) -> None:
    """A megabyte would take hours otherwise."""
    assert problem(raw).message


def test_keys_and_values_have_positions() -> None:
    """Lines and columns in characters, offsets in bytes, widths within the line."""
    raw = '{"é": [10, {\r\n  "a/b": "x😀"}],\n "~": {}}'.encode()

    found = find_spans(raw)

    assert found == {
        "": Span(0, 0, 0, 1, 1, 12, 0, 44),
        "/é": Span(1, 2, 3, 1, 7, 6, 7, 33),
        "/é/0": Span(0, 0, 0, 1, 8, 2, 8, 10),
        "/é/1": Span(0, 0, 0, 1, 12, 1, 12, 32),
        "/é/1/a~1b": Span(2, 3, 5, 2, 10, 4, 24, 31),
        "/~0": Span(3, 2, 3, 3, 7, 2, 41, 43),
    }
    assert raw[24:31].decode() == '"x😀"'


def test_a_byte_order_mark_takes_no_column() -> None:
    """Columns are those of an editor. Offsets count the mark."""
    raw = b'\xef\xbb\xbf{"a": 1}'

    assert find_spans(raw)["/a"] == Span(1, 2, 3, 1, 7, 1, 9, 10)


def test_a_problem_can_be_pickled() -> None:
    """Worker processes return it."""
    found = problem(b"[1,]")

    assert vars(pickle.loads(pickle.dumps(found))) == vars(found)


def test_well_formed_json_loads_no_other_modules() -> None:
    """Neither the scanner for problems nor other slow modules."""
    slow = ["dataclasses", "logging", "pathlib", "yaml", "pydantic", "evtool.readers.json_errors"]
    code = "import sys; from evtool.readers.json_text import parse_json; parse_json(b'[1]'); "
    code += f"print(set({slow}) & sys.modules.keys())"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert done.stdout == "set()\n", done.stderr
