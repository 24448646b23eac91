"""Event texts from files, folders and streams: each has its location, and a bad one does not stop the others."""

import gzip
import io
import json
import os
import random
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evtool.findings.finding import Finding
from evtool.readers.files import SourceText, count_bytes, read_texts
from evtool.readers.streams import FileStream
from tests.conftest import ROOT, Evtool

MIB = 1 << 20


def read_items(*paths: str | Path, stdin: bytes = b"", max_bytes: int = 100) -> list[str]:
    """Returns each text as "file:line:column text", each finding as "file:line:column code"."""
    return [
        f"{Path(found.file or '').name}:{found.line}:{found.column} "
        + (found.raw.decode(errors="replace") if isinstance(found, SourceText) else found.code)
        for found in read_texts([str(path) for path in paths], stdin=io.BytesIO(stdin), max_bytes=max_bytes)
    ]


def finding(path: str | Path, *, stdin: bytes = b"") -> Finding:
    """Returns the only finding of a path."""
    (found,) = read_texts([str(path)], stdin=io.BytesIO(stdin), max_bytes=100)
    assert isinstance(found, Finding)
    return found


LINES = b'{"a": 1}\r\n\n \t\r\n  {"b": "\xe2\x80\xa8\x0b\x85"}\n{bad\n{"c": 3}'
LINE_PIECES = ['1:1 {"a": 1}', '4:3 {"b": "\u2028\x0b\ufffd"}', "5:1 {bad", '6:1 {"c": 3}']


@pytest.mark.parametrize("pack", [lambda raw: raw, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "raw", "pieces"),
    [
        ("x.json", b'{"a":\n 1}\n', ['1:1 {"a":\n 1}']),
        ("x.json", b'\xef\xbb\xbf\n\r\n  {"a": 1} \n\n', ['3:3 {"a": 1}']),
        ("x.json", b'\n[{"a": 1},\n "b"]', ['2:2 {"a": 1}', '3:2 "b"']),
        ("x.json", b"[]", []),
        ("x.json", b"", ["1:1 "]),
        ("x.json", b"{bad", ["1:1 {bad"]),
        ("x.JSON", b"[1,\n2", ["1:2 1", "2:2 EV002"]),
        ("x.jsonl", LINES, LINE_PIECES),
        ("x.ndjson", LINES + b"\n", LINE_PIECES),
        ("x.jsonl", b"\xef\xbb\xbf 1\n2\n", ["1:2 1", "2:1 2"]),
        ("x.jsonl", b"", []),
        ("x.jsonl", b"\n\n\r\n", []),
        ("x.jsonl", b" " * 500 + b"\n1\n" + b"\t" * 500, ["2:1 1"]),
        ("x.txt", b" " * 500, []),
    ],
)
def test_reads_files_by_their_endings(
    tmp_path: Path, name: str, raw: bytes, pieces: list[str], pack: Callable[[bytes], bytes]
) -> None:
    """JSON has a value or the elements of an array, JSON Lines a text per line, compressed or not."""
    file = tmp_path / (name if pack(b"") == b"" else f"{name}.gz")
    file.write_bytes(pack(raw))

    assert read_items(file) == [f"{file.name}:{piece}" for piece in pieces]


@pytest.mark.parametrize(
    ("raw", "pieces"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"\n" * 500 + b"{}\n[1]", ["501:1 {}", "502:2 1"]),
        (b'{"a": 1}', ['1:1 {"a": 1}']),
        (b'{\n  "a": 1\n}\n', ['1:1 {\n  "a": 1\n}']),
        (b'{"a":\n1}', ['1:1 {"a":\n1}']),
        (b'\n{"a": 1}\n\n{"b": 2}\n', ['2:1 {"a": 1}', '4:1 {"b": 2}']),
        (b'{"Entries": [\n  {"a": 1}\n]}', ['1:1 {"Entries": [\n  {"a": 1}\n]}']),
        (b'{"Entries": [\n{"a": 1}\n]}', ['1:1 {"Entries": [\n{"a": 1}\n]}']),
        (b'{"Entries": [\n  {"a" 1}\n]}', ['1:1 {"Entries": [\n  {"a" 1}\n]}']),
        (b'{"cut": [\n{"a": 1}\n{"b": 2}\n', ['1:1 {"cut": [', '2:1 {"a": 1}', '3:1 {"b": 2}']),
        (b'{bad\n{"b": 2}\n', ["1:1 {bad", '2:1 {"b": 2}']),
        (b'{"a": 1}\n{bad\n', ['1:1 {"a": 1}', "2:1 {bad"]),
        (b'\xef\xbb\xbf\n [{"a": 1},\n2]', ['2:3 {"a": 1}', "3:1 2"]),
        (b"[{},\n", ["1:2 {}", "2:1 EV002"]),
        (b"x" * 500 + b"\n{}\n", ["1:1 EV008", "2:1 {}"]),
        (b'{"a":\n' + b" " * 500 + b"1}", ["1:1 EV008"]),
        (b"\xff\xfe{\0}\0", ["1:1 \ufffd\ufffd{\0}\0"]),
    ],
)
def test_the_content_of_a_stream_decides(tmp_path: Path, raw: bytes, pieces: list[str]) -> None:
    """Standard input, and a file with another name, has one value, an array or JSON Lines."""
    other = tmp_path / "events.txt"
    other.write_bytes(raw)

    assert read_items("-", stdin=raw) == [f"<stdin>:{piece}" for piece in pieces]
    assert read_items(other) == [f"events.txt:{piece}" for piece in pieces]


def test_a_line_of_a_stream_is_returned_at_once() -> None:
    """Before the next line is written."""
    out, into = os.pipe()
    with open(out, "rb") as stdin, open(into, "wb", buffering=0) as writer:  # noqa: PTH123
        pieces = read_texts(["-"], stdin=stdin)
        for number in range(3):
            writer.write(b'{"n": %d}\n' % number)
            piece = next(pieces)
            assert isinstance(piece, SourceText)
            assert piece.raw == b'{"n": %d}' % number


def test_a_text_knows_whether_the_next_one_is_in_memory() -> None:
    """Blank and unfinished lines are not a next text."""
    out, into = os.pipe()
    with open(out, "rb") as stdin, open(into, "wb", buffering=0) as writer:  # noqa: PTH123
        pieces = read_texts(["-"], stdin=stdin)
        for written, here in (
            (b"1\n", [False]),
            (b"2\n3\n4\n", [True, True, False]),
            (b"5\n\n \n", [False]),
            (b"6\n7", [False]),
            (b"\n" + b"8\n" * 20_000, [True] * 20_000 + [False]),
        ):
            writer.write(written)
            for more in here:
                piece = next(pieces)
                assert isinstance(piece, SourceText)
                assert not piece.is_next_buffered or more
                assert (
                    piece.is_next_buffered == more or len(here) > 4
                )  # what was read with one call need not be all that is there


def test_reads_folders_in_order(tmp_path: Path) -> None:
    """The event files of a folder and its subfolders, by name, without other and hidden files."""
    for name in ("b.json", "a/z.jsonl", "a/b/c.ndjson", "C.JSON", "d.json.gz", ".hidden.json", ".git/x.json", "e.yaml"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(b"0") if name.endswith(".gz") else b"0")

    found = [told_of.file or "" for told_of in read_texts([str(tmp_path)], stdin=io.BytesIO())]

    assert [Path(file).relative_to(tmp_path).as_posix() for file in found] == [
        "C.JSON",
        "a/b/c.ndjson",
        "a/z.jsonl",
        "b.json",
        "d.json.gz",
    ]


def test_files_of_the_current_folder_have_relative_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.json").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)

    assert [piece.file for piece in read_texts([".", "x.json"], stdin=io.BytesIO())] == ["x.json", "x.json"]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each bad file is one finding, and all other files are read."""
    good = tmp_path / "good.json"
    good.write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "nowhere.json").symlink_to("missing")
    (tmp_path / "itself.json").symlink_to("itself.json")
    (tmp_path / "itself").symlink_to("itself")  # no event file by its name: left out
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "up").symlink_to(tmp_path)
    (tmp_path / "folder" / "z.json").write_bytes(b"2")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b'{"a": 1}')[:-5])
    (tmp_path / "no.jsonl.gz").write_bytes(b"no gzip")
    packed = bytearray(gzip.compress(random.Random(6).randbytes(60)))
    packed[40] ^= 1
    (tmp_path / "damaged.json.gz").write_bytes(packed)

    assert read_items(tmp_path, "missing.json", "/dev/null", "a\0b", "", good) == [
        'cut.json.gz:1:1 {"a": 1}',
        "cut.json.gz:None:None EV001",
        "damaged.json.gz:None:None EV001",
        "up:None:None EV001",
        "z.json:1:1 2",
        "good.json:1:1 1",
        "itself.json:None:None EV001",
        "no.jsonl.gz:None:None EV001",
        "nowhere.json:None:None EV001",
        "pipe.json:None:None EV001",
        "missing.json:None:None EV001",
        "null:None:None EV001",
        "a\0b:None:None EV001",
        ":None:None EV001",
        "good.json:1:1 1",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_permission_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b"1")
    file.chmod(0)

    assert "Permission denied" in finding(file).message


def test_names_that_are_not_utf8_are_shown_with_escapes(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"n\xff.json")).write_bytes(b"1")

    assert read_items(tmp_path) == ["n\\xff.json:1:1 1"]


def test_lines_before_a_truncation_are_returned(tmp_path: Path) -> None:
    """Of a compressed file that is cut off."""
    raw = b"".join(b'{"n": %d}\n' % random.Random(n).getrandbits(64) for n in range(20_000))
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(raw)[:-20_000])

    found = read_items(tmp_path / "x.jsonl.gz")

    assert len(found) > 10_000
    assert found[-1] == "x.jsonl.gz:None:None EV001"


PACKED_LINES = b"".join(b'{"n": %d}\n' % n for n in range(2000))


@pytest.mark.parametrize(
    ("packed", "lines", "reason"),
    [
        (gzip.compress(PACKED_LINES) + b"junk", 2000, "there is something else after the end of its compressed text"),
        (gzip.compress(PACKED_LINES[:-1]) + b"junk", 2000, "there is something else after the end"),
        (
            gzip.compress(PACKED_LINES) + gzip.compress(b"1\n")[:12],
            2000,
            "its compressed text is cut off, after line 2000",
        ),
        (gzip.compress(PACKED_LINES) + b"\0\0\x1f\x8bjunk", 2000, "it is damaged, or not gzip, after line 2000"),
        (gzip.compress(PACKED_LINES)[:-8] + bytes(8), 2000, "it is damaged, or not gzip, after line 2000"),
        (zlib.compress(PACKED_LINES), 0, "it is damaged, or not gzip"),
    ],
    ids=["junk", "junk after half a line", "cut off", "bad member", "wrong sum", "not gzip"],
)
def test_every_line_before_damage_is_returned(tmp_path: Path, packed: bytes, lines: int, reason: str) -> None:
    """Then the finding with the last line before the damage."""
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(packed)

    *pieces, last = read_texts([str(file)], stdin=io.BytesIO())

    assert [piece.raw for piece in pieces if isinstance(piece, SourceText)] == PACKED_LINES.splitlines()[:lines]
    assert isinstance(last, Finding)
    assert last.message.startswith(f"cannot be read: {reason}")


def test_damage_loses_only_the_lines_after_it(tmp_path: Path) -> None:
    """All lines that begin before the damage are returned, also those just before it."""
    raw = b"".join(b'{"n": %d}\n' % random.Random(n).getrandbits(64) for n in range(3000))
    packer = zlib.compressobj(wbits=31)
    good = packer.compress(raw) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "x.jsonl.gz").write_bytes(good + b"\x07" * 100)  # 11: a kind of block that does not exist
    packer = zlib.compressobj(wbits=31)
    array = packer.compress(b"[" + raw.replace(b"\n", b",\n")) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "y.json.gz").write_bytes(array + b"\x07" * 100)

    found = read_items(tmp_path)

    assert [line.split(" ", 1)[1].encode() for line in found[:3000]] == raw.splitlines()
    assert found[3000] == "x.jsonl.gz:None:None EV001"
    assert len(found[3001:]) == 3001
    assert found[-1] == "y.json.gz:None:None EV001"


def test_a_compressed_file_may_have_several_members(tmp_path: Path) -> None:
    """Files that were compressed one by one and joined."""
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b"1\n") + gzip.compress(b"2\n") + bytes(100_000))

    assert read_items(tmp_path) == ["x.jsonl.gz:1:1 1", "x.jsonl.gz:2:1 2"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["lf", "crlf", "none"])
@pytest.mark.parametrize("size", [98, 99, 100, 101, 102, 103, 5000])
def test_a_line_that_is_too_long_is_a_finding(tmp_path: Path, size: int, end: bytes) -> None:
    """A line of the limit is accepted, a longer one is one finding, and the next line is read."""
    file = tmp_path / "x.jsonl"
    file.write_bytes(b"1\n" + b"x" * size + end + (b"2" if end else b""))

    middle = "x.jsonl:2:1 " + ("x" * size if size <= 100 else "EV008")
    assert read_items(file) == ["x.jsonl:1:1 1", middle, *(["x.jsonl:3:1 2"] if end else [])]


def test_a_value_that_is_too_long_is_a_finding(tmp_path: Path) -> None:
    """A file or an element of an array. Blanks around the value do not count."""
    file = tmp_path / "x.json"
    for raw, outcome in [
        (b'"' + b"x" * 98 + b'"', "1:1 " + '"' + "x" * 98 + '"'),
        (b"\n " + b"1" * 100 + b"\n" * 60_000, "2:2 " + "1" * 100),
        (b"1" * 101, "1:1 EV008"),
        (b"[" + b"1" * 101 + b"]", "1:2 EV008"),
    ]:
        file.write_bytes(raw)
        assert read_items(file) == [f"x.json:{outcome}"]


def test_values_of_any_size_up_to_the_limit_are_read_whole(tmp_path: Path) -> None:
    """A value is one text for any number of reads."""
    file = tmp_path / "x.json"
    for size in (65_535, 65_536, 65_537, 300_000):
        file.write_bytes(b" " + b"1" * size + b"\n")
        assert read_items(file, max_bytes=300_000) == ["x.json:1:2 " + "1" * size]


@pytest.mark.parametrize("most", [10**11, 10**30])
def test_a_large_limit_takes_no_memory(tmp_path: Path, most: int) -> None:
    value = b'{"a":\n{"b": "' + b"x" * 200_000 + b'"}}'
    for name in ("x.json", "x.txt", "x.jsonl"):
        (tmp_path / name).write_bytes(value.replace(b"\n", b"") if name == "x.jsonl" else value)
    tracemalloc.start()
    try:
        found = read_items(*(tmp_path / name for name in ("x.json", "x.txt", "x.jsonl")), max_bytes=most)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [len(text.split(" ", 1)[1]) for text in found] == [len(value), len(value), len(value) - 1]
    assert peak < 3 * MIB


def test_blanks_around_a_value_may_be_of_any_length(tmp_path: Path) -> None:
    """A file of blanks is like an empty one."""
    file = tmp_path / "x.json"
    blanks = b" \n" * 100_000 + b"  "
    for raw, outcome in [(blanks + b"1" + blanks, "100001:3 1"), (blanks, "100001:3 "), (b" " * 200_000, "1:200001 ")]:
        file.write_bytes(raw)
        assert read_items(file) == [f"x.json:{outcome}"]


DOCUMENTS = [  # texts that follow one another, and what is read
    (b'{"a": 1}\n{"b": 2}', ['1:1 {"a": 1}', '2:1 {"b": 2}']),
    (
        b'{\n  "a": 1\n}\n{\n  "b": {\n    "c": 2\n  }\n}\n',
        ['1:1 {\n  "a": 1\n}', '4:1 {\n  "b": {\n    "c": 2\n  }\n}'],
    ),
    (
        b'{"a": 1}{"b": "}{"} \t{"c": "\xc3\xa9"}{"d": 4}',
        ['1:1 {"a": 1}', '1:9 {"b": "}{"}', '1:22 {"c": "é"}', '1:32 {"d": 4}'],
    ),
    (b'{"a": 1}\r\n\r\n{\r\n"b": 2}\r\n', ['1:1 {"a": 1}', '3:1 {\r\n"b": 2}']),
    (b'{"a": {"b": 1}\n}\n{"c": 3}', ['1:1 {"a": {"b": 1}\n}', '3:1 {"c": 3}']),
    (b'{"a": "{"}\n{"b": "}"}\n{"c": "\\"}"}\n', ['1:1 {"a": "{"}', '2:1 {"b": "}"}', '3:1 {"c": "\\"}"}']),
    (b'\x1e{"a": 1}\n\x1e{\n"b": 2}\n', ['1:2 {"a": 1}', '2:2 {\n"b": 2}']),
    (b'{"a": [\n{"b": 1},\n{"c": 2}\n]}\n{"d": 4}', ['1:1 {"a": [\n{"b": 1},\n{"c": 2}\n]}', '5:1 {"d": 4}']),
    (b'[{"a": 1}]\n[\n {"b": 2}\n]\n{"c": 3}', ['1:2 {"a": 1}', '3:2 {"b": 2}', '5:1 {"c": 3}']),
    (b'{"a": 1}\n  [{"b": 2},\n {"c": 3}]{"d": 4}', ['1:1 {"a": 1}', '2:4 {"b": 2}', '3:2 {"c": 3}', '3:11 {"d": 4}']),
    (b'{"a": 1}\n[{"b": 2}', ['1:1 {"a": 1}', "2:10 EV002"]),
    # one is broken, and the next is found
    (b'{"a": 1\n{"b": 2}\n{"c": 3}\n', ['1:1 {"a": 1', '2:1 {"b": 2}', '3:1 {"c": 3}']),
    (b'{"a": 1,\n{"b": 2}\n{"c": 3}\n', ['1:1 {"a": 1,', '2:1 {"b": 2}', '3:1 {"c": 3}']),
    (b'{"a":\n\n{"b": 2}\n', ['1:1 {"a":', '3:1 {"b": 2}']),
    (b'{"a": "x\n{"b": 2}\n', ['1:1 {"a": "x', '2:1 {"b": 2}']),
    (b'{"a": "x\\\n{"b": 2}\n', ['1:1 {"a": "x\\', '2:1 {"b": 2}']),
    (
        b'{\n "a": "x,\n "b": {\n  "c": 1\n }\n}\n{\n "d": 4\n}\n',
        ['1:1 {\n "a": "x,\n "b": {\n  "c": 1\n }\n}', '7:1 {\n "d": 4\n}'],
    ),
    (
        b'{\n "a": 1,\n "b": [\n{\n "c": 3\n}\n{"d": 4}',
        ['1:1 {\n "a": 1,\n "b": [', '4:1 {\n "c": 3\n}', '7:1 {"d": 4}'],
    ),
    (b'{"a": }{"b": 2}', ['1:1 {"a": }', '1:8 {"b": 2}']),
    (b'{"a": "x}{"b": 2}\n{"c": 3}', ['1:1 {"a": "x}', '1:10 {"b": 2}', '2:1 {"c": 3}']),
    (b'# x\ny\n{"a": 1}\nz z\n{\n"b": 2}', ["1:1 # x\ny", '3:1 {"a": 1}', "4:1 z z", '5:1 {\n"b": 2}']),
    (
        b'{"a": "' + b"x" * 200 + b'"}{"b": 2}\n{"c": [' + b"3," * 100 + b'3]}\n{"d": 4}',
        ["1:1 EV008", '1:210 {"b": 2}', "2:1 EV008", '3:1 {"d": 4}'],
    ),
    (b"<html>\n<body>\n[x]\n</html>\n", ["1:1 <html>\n<body>\n[x]\n</html>"]),
]


class Parts(io.BytesIO):
    """A stream that returns a fixed number of bytes at a time."""

    def __init__(self, raw: bytes, size: int):
        super().__init__(raw)
        self.size = size

    def read1(self, _: int | None = -1, /) -> bytes:
        """The next part."""
        return super().read(self.size)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize(("raw", "pieces"), DOCUMENTS)
def test_documents_may_follow_one_another(raw: bytes, pieces: list[str], size: int) -> None:
    """On several lines or one, compressed or not, in any parts: each has its location."""

    for stdin in (raw, gzip.compress(raw)):
        found = list(read_texts(["-"], stdin=Parts(stdin, size), max_bytes=100))
        assert [
            f"{piece.line}:{piece.column} " + (piece.raw.decode() if isinstance(piece, SourceText) else piece.code)
            for piece in found
        ] == pieces


@pytest.mark.parametrize("seed", range(5))
def test_random_documents_are_found(seed: int) -> None:
    """With any strings, in any notation, joined and split in any way."""
    chance = random.Random(seed)

    def value(depth: int) -> Any:
        inner = [value(depth - 1) for _ in range(chance.randrange(4))] if depth else []
        text = "".join(chance.choices('a"\\[]{},:\n é😀', k=chance.randrange(6)))
        return chance.choice([inner, dict(zip("abc", inner, strict=False)), text, 1, -1.5, None, True])

    styles: list[dict[str, Any]] = [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False, "indent": 0}]
    for _ in range(100):
        documents = [{"k": value(3), "z": value(2)} for _ in range(chance.randrange(1, 6))]
        raw = b"".join(
            json.dumps(document, **chance.choice(styles)).encode() + chance.choice([b"", b"\n", b"\n\n", b" ", b"\r\n"])
            for document in documents
        )
        pieces = [
            piece
            for piece in read_texts(["-"], stdin=Parts(raw, chance.choice([1, 3, 50, 1000])))
            if isinstance(piece, SourceText)
        ]
        assert [json.loads(piece.raw) for piece in pieces] == documents
        for piece in pieces:
            line = raw.decode().split("\n")[piece.line - 1]
            assert line[piece.column - 1 :].startswith(piece.raw.decode().split("\n")[0])


@pytest.mark.parametrize(
    ("raw", "pieces"),
    [
        (b'{"a": 1}}\n{"b": 2}}{"c": 3}', ['1:1 {"a": 1}}', '2:1 {"b": 2}}', '2:10 {"c": 3}']),
        (b'{"a": 1},\n{"b": 2},\n', ['1:1 {"a": 1},', '2:1 {"b": 2},']),
        (b'{"a": 1}\r{"b": 2}', ['1:1 {"a": 1}\r{"b": 2}']),
    ],
)
def test_a_line_with_more_than_documents_is_broken(raw: bytes, pieces: list[str]) -> None:
    """Text after a document on its line that is not another document belongs to it."""
    assert read_items("-", stdin=raw) == [f"<stdin>:{piece}" for piece in pieces]


def test_a_json_file_may_have_several_documents(tmp_path: Path) -> None:
    """Under any name, and compressed under any name."""
    documents = b'{\n"a": 1\n}\n{"b": 2}'
    for name in ("x.json", "y.jsonl", "z.txt"):
        for raw in (documents, gzip.compress(documents)):
            (tmp_path / name).write_bytes(raw)
            assert read_items(tmp_path / name) == [f'{name}:1:1 {{\n"a": 1\n}}', f'{name}:4:1 {{"b": 2}}']


def test_broken_documents_take_linear_time() -> None:
    """Each line may begin a document, and is examined once."""
    for raw in (b'{"a": [\n' * 100_000, b'{"a": "x}' * 100_000, b'{"a": 1,\n{"b": 2}\n' * 50_000):
        started = time.process_time()
        assert list(read_texts(["-"], stdin=io.BytesIO(raw)))
        assert time.process_time() - started < 5


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.txt"])
def test_the_hint_for_carriage_returns_says_what_to_do(evtool: Evtool, tmp_path: Path, name: str) -> None:
    """Some editors and spreadsheets write them as line ends."""
    line = b'{"id": "1", "source": "s", "detail-type": "t", "detail": {}}\r'
    (tmp_path / name).write_bytes(line * 2)
    (tmp_path / "schema.json").write_text("true")
    [found] = evtool("validate", name, "--schema", "schema.json", "-o", "json").json["findings"]

    assert (found["code"], found["line"], found["column"]) == ("EV002", 1, len(line) + 1)
    assert found["suggestion"] == "a line ends with a carriage return only: save the file with line feeds"


def test_a_stream_that_does_not_block_is_read_to_its_end(tmp_path: Path) -> None:
    """A shell may set this on standard input. A read without data is not the end."""
    here, there = os.pipe()
    os.set_blocking(here, False)
    (tmp_path / "schema.json").write_text("true")
    words = [sys.executable, "-m", "evtool", "validate", "-", "--schema", "schema.json", "--type", "t", "-o", "jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, cwd=tmp_path, stdin=here, stdout=subprocess.PIPE, env=environment) as process:
        os.close(here)
        with os.fdopen(there, "wb") as stream:
            for number in range(3):
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.5 if number == 0 else 0.05)
                stream.write(b"{}\n")
                stream.flush()
        assert json.loads(process.communicate(timeout=30)[0].splitlines()[-1])["summary"]["events"] == 3


def test_a_file_in_utf16_is_one_finding(tmp_path: Path) -> None:
    """Not one for each of its lines."""
    for name in ("x.jsonl", "y.json"):
        for encoding in ("utf-16", "utf-16-le", "utf-32-be"):
            (tmp_path / name).write_bytes('[{"a": 1},\n{"b": 2}]\n'.encode(encoding))
            assert len(read_items(tmp_path / name, max_bytes=1000)) == 1


class Endless(io.BytesIO):
    """A stream that repeats the same bytes."""

    def __init__(self, again: bytes, times: int):
        super().__init__()
        self.parts = iter([again] * times)

    def read1(self, _: int | None = -1, /) -> bytes:
        """The next part."""
        return next(self.parts, b"")


@pytest.mark.parametrize(
    ("again", "count"),
    [
        (b'{"a": "%s"}\n' % (b"x" * 3980) * 15, 3000),
        ((b" " * 599 + b"\n") * 100, 0),
        (b"x" * 60_000, 1),
        (b" " * 60_000, 0),
    ],
    ids=["lines", "blank lines", "one line", "blanks"],
)
def test_large_files_take_little_memory(again: bytes, count: int) -> None:
    """Twelve megabytes are read in the memory of a few events."""
    tracemalloc.start()
    try:
        found = sum(1 for _ in read_texts(["-"], stdin=Endless(again, 200), max_bytes=MIB // 4))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == count
    assert peak < 3 * MIB


@pytest.mark.slow
def test_a_gzip_bomb_takes_little_memory(tmp_path: Path) -> None:
    """No more than an event may take."""
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"[" + b'"' + b"x" * 50 * MIB))
    (tmp_path / "y.json.gz").write_bytes(gzip.compress(b'"' + b"x" * 50 * MIB))
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(b" " * 50 * MIB + b"1"))
    tracemalloc.start()
    try:
        found = read_items(tmp_path, max_bytes=MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [text.split()[-1] for text in found] == ["EV002", "EV008", "EV008"]
    assert peak < 6 * MIB


def test_the_reported_bytes_add_up_to_the_total(tmp_path: Path) -> None:
    """The bytes of the files, not of the decompressed text."""
    (tmp_path / "a.json").write_bytes(b"[1, 2]" + b" " * 100_000)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(random.Random(7).randbytes(200_000).hex().encode()))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d.jsonl").write_bytes(b"1\n" * 200_000)
    steps: list[int] = []

    for _ in read_texts([str(tmp_path), "missing"], stdin=io.BytesIO(), on_bytes=steps.append):
        pass

    assert (
        sum(steps)
        == count_bytes([str(tmp_path), "missing"])
        == sum(file.stat().st_size for file in tmp_path.rglob("*.*"))
    )
    assert len([step for step in steps if step]) > 5
    assert count_bytes([str(tmp_path), "-"]) is None


class Failing(io.BytesIO):
    """A stream that returns one line and then fails."""

    def read1(self, size: int | None = -1, /) -> bytes:
        """The line, then an error of the system."""
        if line := super().read1(size):
            return line
        raise OSError(5, "Input/output error")


def test_a_stream_that_fails_is_a_finding() -> None:
    """After the texts before the failure."""
    first, second = read_texts(["-"], stdin=Failing(b'{"a": 1}\n'))

    assert isinstance(first, SourceText)
    assert isinstance(second, Finding)
    assert (second.file, second.code) == ("<stdin>", "EV001")
    assert "Input/output error" in second.message


def test_a_file_without_data_at_the_moment_is_a_finding() -> None:
    """It is not an empty file."""
    out, into = os.pipe2(os.O_NONBLOCK)
    with open(into, "wb", buffering=0) as writer, io.BufferedReader(FileStream(out)) as stream:  # noqa: PTH123
        writer.write(b"1\n")
        assert stream.readline() == b"1\n"
        with pytest.raises(BlockingIOError, match="nothing to read now"):
            stream.readline()
