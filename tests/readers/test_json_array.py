"""Arrays in parts: the same elements and positions as for the whole text, in little memory."""

import io
import json
import random
import tracemalloc
from typing import Any

import pytest

from evtool.readers.json_array import Element, read_elements
from evtool.readers.json_text import JsonProblem, find_spans

KIB = 1024


class Trickle(io.BytesIO):
    """A stream that returns a few bytes at a time."""

    def __init__(self, raw: bytes, size: int):
        super().__init__(raw)
        self.size = size

    def read1(self, _: int | None = -1, /) -> bytes:
        """The next few bytes."""
        return super().read(self.size)


def pieces(raw: bytes, size: int = 1 << 16, max_bytes: int = KIB) -> list[Element | JsonProblem]:
    """Returns the elements of an array that arrives in chunks of `size`."""
    return list(read_elements(Trickle(raw, size), max_bytes=max_bytes))


def read_items(raw: bytes, size: int = 1 << 16, max_bytes: int = KIB) -> list[str]:
    """Returns the elements, and the code and location of the problem."""
    return [
        found.raw.decode(errors="replace")
        if isinstance(found, Element)
        else f"{found.code} {found.line}:{found.column} @{found.offset}"
        for found in pieces(raw, size, max_bytes)
    ]


def arrays(seed: int, number: int) -> list[bytes]:
    """Builds arrays of all kinds of values in all notations."""
    chance = random.Random(seed)

    def value(depth: int) -> Any:
        inner = [value(depth - 1) for _ in range(chance.randrange(4))] if depth else []
        text = "".join(chance.choices('a"\\[]{},:\n é😀', k=chance.randrange(6)))
        return chance.choice([inner, dict(zip("abc", inner, strict=False)), text, 1, -1.5, None, True])

    styles: list[dict[str, Any]] = [
        {},
        {"indent": 1},
        {"separators": (",", ":")},
        {"ensure_ascii": False, "indent": "\t"},
    ]
    return [
        json.dumps([value(4) for _ in range(chance.randrange(8))], **chance.choice(styles)).encode()
        for _ in range(number)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 16])
def test_elements_have_the_positions_of_the_whole_text(size: int) -> None:
    """And its bytes, for any sizes of the chunks."""
    for raw in arrays(seed=3, number=200):
        spans = find_spans(raw)
        count = len(json.loads(raw))
        found = [tuple(piece) for piece in pieces(raw, size) if isinstance(piece, Element)]
        wanted = [spans[f"/{index}"] for index in range(count)]
        assert found == [(raw[span.start : span.end], span.line, span.column, span.start) for span in wanted]


@pytest.mark.parametrize("size", [1, 2, 5, 1 << 16])
@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"[]", []),
        (b" \n[ ]\n", []),
        (b'\xef\xbb\xbf[{"a": 1}]', ['{"a": 1}']),
        (b'["]", "[", "\\"", "\\\\", ","]', ['"]"', '"["', '"\\""', '"\\\\"', '","']),
        (b"[tru\xff, [[]]]", ["tru\ufffd", "[[]]"]),
        (b"", ["EV002 1:1 @0"]),
        (b'{"a": 1}', ["EV002 1:1 @0"]),
        (b"[", ["EV002 1:2 @1"]),
        (b"[1", ["EV002 1:3 @2"]),
        (b"[1,", ["1", "EV002 1:4 @3"]),
        (b'[1,\n{"a": [2}', ["1", "EV002 2:10 @13"]),
        (b'["a\\', ["EV002 1:4 @3"]),
        (b'[1, "a\nb", 2]', ["1", "EV002 1:7 @6"]),
        (b"[1,]", ["1", "EV002 1:3 @2"]),
        (b"[1\n, ]", ["1", "EV002 2:1 @3"]),
        (b"[,1]", ["EV002 1:2 @1"]),
        (b"[1,,2]", ["1", "EV002 1:4 @3"]),
        (b"[{}\n {}]", ["{}", "EV002 2:2 @5"]),
        (b'["\xc3\xa9" {}]', ['"é"', "EV002 1:6 @6"]),
        (b"[{}}]", ["{}", "EV002 1:4 @3"]),
        (b'[{"a": 1]}, 2]', ['{"a": 1]', "EV002 1:10 @9"]),
        (b"[1] 2", ["1", "EV002 1:5 @4"]),
        (b"[1]\n[2]", ["1", "EV002 2:1 @4"]),
        (b"[1][2]", ["1", "EV002 1:4 @3"]),
    ],
)
def test_a_broken_array_has_a_position(raw: bytes, outcome: list[str], size: int) -> None:
    """The elements before it, then one problem with line, column and offset."""
    assert read_items(raw, size) == outcome


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'[1,\n {"a": 2', "the text ends inside the array, in what begins at 2:2 (is the text cut off?)"),
        (b'["a\\', "the text ends inside the array, in what begins at 1:2 (is the text cut off?)"),
        (b"[1,", "the text ends inside the array (is the text cut off?)"),
        (b"[1,]", 'a comma before "]" is not allowed (None)'),
        (b"[,]", 'a value is expected here, not "," (None)'),
        (b"[{} {}]", '"," or "]" is expected here, not "{" (None)'),
        (b'["a\nb"]', r"a string is not closed on its line (write a line break in a string as \n)"),
        (b"[1] 2", "there is more text after the end of the array (None)"),
        (b"{}", "an array is expected here (None)"),
    ],
)
def test_the_problem_of_an_array_has_a_hint(raw: bytes, said: str) -> None:
    found = pieces(raw)[-1]

    assert isinstance(found, JsonProblem)
    assert f"{found.message} ({found.hint})" == said


@pytest.mark.parametrize("size", [1, 100, 1 << 16])
def test_an_element_that_is_too_long_is_a_problem(size: int) -> None:
    """With its position and length. The elements after it are read."""
    long = json.dumps({"text": 'x"[{,\\' * 400, "more": [[]] * 100}).encode()
    raw = b'[1,\n  "' + b"y" * (KIB - 2) + b'",\n ' + long + b", 3]"

    found = read_items(raw, size)

    assert [text[:12] for text in found] == ["1", '"' + "y" * 11, "EV008 3:2 @1", "3"]
    assert f"{len(long)} bytes" in str(pieces(raw, size)[2])


class Endless(io.BytesIO):
    """A stream of the same bytes, between a beginning and an end."""

    def __init__(self, begin: bytes, again: bytes, times: int, end: bytes):
        super().__init__()
        self.parts = iter([begin, *([again] * times), end])

    def read1(self, _: int | None = -1, /) -> bytes:
        """The next part."""
        return next(self.parts, b"")


@pytest.mark.parametrize(
    ("begin", "again", "end", "count"),
    [
        (b"[0", (b', {"a": "' + b"x" * 500 + b'", "c": [1]}') * 100, b"]", 8001),
        (b"[", b"\n" * 60_000, b"]", 0),
        (b'["', b"x" * 60_000, b'"]', 1),
        (b"[", (b"[" + b" " * 600) * 100, b"", 1),
        (b"[1", b" " * 60_000, b"]", 1),
    ],
    ids=["many elements", "blanks", "one long string", "brackets that are never closed", "blanks after an element"],
)
def test_large_arrays_take_little_memory(begin: bytes, again: bytes, end: bytes, count: int) -> None:
    """Five megabytes in less than half a megabyte."""
    tracemalloc.start()
    try:
        found = sum(1 for _ in read_elements(Endless(begin, again, 80, end), max_bytes=100 * KIB))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == count
    assert peak < 512 * KIB
