"""Reads the texts of events from files, folders and standard input. A bad text does not stop the others."""

import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from json import detect_encoding
from typing import BinaryIO, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.streams import FileStream, LookaheadStream, is_next_line_buffered

MAX_BYTES = 1024 * 1024  # of one event, unless the caller says otherwise
_UPPER_LIMIT = 1 << 60  # of one event whatever the caller says: no file is longer, and readline() takes it
STDIN = "-"

_CHUNK = 1 << 16
_BOM = b"\xef\xbb\xbf"
_WHITESPACE = b" \t\n\r"
_JSON_SUFFIXES = (".json", ".json.gz")
_JSONL_SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_NOT_A_FILE = "it is a pipe, a socket or a device, not a file"


class SourceText(NamedTuple):
    """The bytes of one JSON value, without blanks around it, and where in a file it begins (from 1, in characters)."""

    file: str
    line: int
    column: int
    raw: bytes
    is_next_buffered: bool = False  # of a stream: the next one is here already, it need not be waited for


# --- which files -----------------------------------------------------------------------------------------------------


def _format_path(path: str) -> str:
    """A path as messages have it: bytes that are not UTF-8 as backslash escapes, nothing said of the current folder."""
    try:
        text = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        text = path.encode(errors="backslashreplace").decode()
    return text.removeprefix("./")


def _make_unreadable_finding(path: str, reason: str, hint: str | None = None) -> Finding:
    return Finding("EV001", f"cannot be read: {reason}", file=_format_path(path), suggestion=hint)


def _describe_error(error: Exception) -> str:
    if isinstance(error, ValueError):
        return "no file can have this name"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _list_entries(folder: str) -> list[str]:
    """The folders and event files in a folder, in the order of their names; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.path
            for entry in entries
            if entry.name[0] != "."
            and (entry.name.lower().endswith(_JSON_SUFFIXES + _JSONL_SUFFIXES) or _is_folder(entry))
        )


def _find_files(root: str) -> Iterator[tuple[str, int] | Finding]:
    """The files that a path names, with their sizes. A folder that is inside of itself is told and not followed."""
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [(root, ())]
    while pending:
        path, ancestors = pending.pop()
        entries = []
        try:
            status = os.stat(path)  # noqa: PTH116  (Path("") is the current folder)
            if stat.S_ISDIR(status.st_mode):
                entries = _list_entries(path)
        except (OSError, ValueError) as error:
            yield _make_unreadable_finding(path, _describe_error(error))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in ancestors:
            yield _make_unreadable_finding(path, "it is a link to a folder that it is in")
        elif stat.S_ISDIR(status.st_mode):
            pending += [(entry, (*ancestors, identity)) for entry in reversed(entries)]
        elif stat.S_ISREG(status.st_mode):
            yield path, status.st_size
        else:
            yield _make_unreadable_finding(path, _NOT_A_FILE, 'pipe it in and name "-"')


# --- the texts in a file ---------------------------------------------------------------------------------------------


def _is_valid_json(raw: bytes) -> bool:
    try:
        parse_json(raw)
    except JsonProblem:
        return False
    return True


def _is_utf8(head: bytes) -> bool:
    return detect_encoding(head).startswith("utf-8")


def _make_too_long_finding(file: str, line: int, column: int, message: str) -> Finding:
    return Finding("EV008", message, file=file, line=line, column=column)


def _read_lines(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[SourceText | Finding]:
    """JSON Lines: a text for every line that is not blank."""
    limit = max_bytes + len(b"\r\n")
    number = consumed = 0
    try:
        while line := stream.readline(limit):
            number += 1
            consumed += len(line)
            is_complete = len(line) < limit or line.endswith(b"\n")
            rest, is_blank = b"" if is_complete else line, not line.strip(_WHITESPACE)
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(_CHUNK)
                consumed += len(rest)
                is_blank = is_blank and not rest.strip(_WHITESPACE)
            if number == 1:
                line = line.removeprefix(_BOM)
            raw = line.strip(_WHITESPACE)
            if len(raw) > max_bytes or not (is_complete or is_blank):
                yield _make_too_long_finding(file, number, 1, f"a line of more than {max_bytes} bytes is too long")
            elif raw:
                column = len(line) - len(line.lstrip(_WHITESPACE)) + 1
                yield SourceText(file, number, column, raw, is_next_buffered=is_next_line_buffered(stream, consumed))
            if number == 1 and not _is_utf8(raw):
                return  # one finding for the file, not one for each line
    except OSError as error:
        if number == 0:
            raise
        raise OSError(error.errno, f"{_describe_error(error)}, after line {number}") from None


def _read_array(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[SourceText | Finding]:
    """A text for every element of an array."""
    from evtool.readers.json_array import read_elements  # noqa: PLC0415  (its patterns take longer to compile than an event to read)

    for item in read_elements(stream, max_bytes=max_bytes):
        if isinstance(item, JsonProblem):
            yield Finding(item.code, item.message, file=file, line=item.line, column=item.column, suggestion=item.hint)
        else:
            yield SourceText(file, item.line, item.column, item.raw)


def _read_chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """The rest of a stream in parts: `read` would ask for the memory of all of them before it knows what is there."""
    return iter(lambda: stream.read1(_CHUNK), b"")


def _read_value(chunks: Iterator[bytes], file: str, max_bytes: int) -> SourceText | Finding:
    """The one value that the chunks of a text hold. Of the blanks around it no more than a chunk is kept."""
    text, line, column = b"", 1, 1
    while not text and (chunk := next(chunks, b"")):
        text = chunk.lstrip(_WHITESPACE)
        start = len(chunk) - len(text)
        line_breaks = chunk.count(b"\n", 0, start)
        line, column = line + line_breaks, start - chunk.rfind(b"\n", 0, start) if line_breaks else column + start
    buffer = bytearray(text)
    while len(buffer) <= max_bytes and (chunk := next(chunks, b"")):
        buffer += chunk
    raw = bytes(buffer).rstrip(_WHITESPACE)
    if len(raw) <= max_bytes and not any(chunk.strip(_WHITESPACE) for chunk in chunks):
        return SourceText(file, line, column, raw)
    first_line, _, rest = raw.partition(b"\n")
    if rest and _is_valid_json(first_line):
        message, hint = "there is more text after the end of the value", "one event a line belongs into a .jsonl file"
        return Finding("EV002", message, file=file, line=line + 1, column=1, suggestion=hint)
    return _make_too_long_finding(file, line, column, f"an event of more than {max_bytes} bytes is too long")


def _read_json(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[SourceText | Finding]:
    """A JSON file: one value, or an array of them."""
    head = b""
    while not head.removeprefix(_BOM).strip(_WHITESPACE) and len(head) < _CHUNK and (chunk := stream.read1(_CHUNK)):
        head += chunk
    if head.removeprefix(_BOM).lstrip(_WHITESPACE)[:1] == b"[" and _is_utf8(head):
        lookahead = LookaheadStream(stream.read1, lookahead=head)
        yield from _read_array(io.BufferedReader(lookahead, _CHUNK), file, max_bytes)
    else:
        yield _read_value(chain([head.removeprefix(_BOM)], _read_chunks(stream)), file, max_bytes)


def _read_any(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[SourceText | Finding]:
    """An array, JSON Lines, or one value, as the first two lines that are not blank look.

    It is JSON Lines when the first of them holds a value; and when the second begins an object at its very begin, which
    a value over several lines hardly has there, unless all of it together is a value.
    """
    buffer = bytearray()

    def read_next_line() -> bytes:
        """The next line that is not blank, as far as it may be kept."""
        while len(buffer) <= 2 * max_bytes and (text := stream.readline(max_bytes + len(b"\r\n"))):
            buffer.extend(text)
            if text.removeprefix(_BOM).strip(_WHITESPACE):
                return text.removeprefix(_BOM)
        return b""

    first_line = read_next_line().strip(_WHITESPACE)
    form = _read_json
    if first_line.startswith(b"[") and _is_utf8(first_line):
        form = _read_array
    elif not first_line or len(first_line) > max_bytes or _is_valid_json(first_line):
        form = _read_lines
    elif read_next_line().startswith(b"{"):
        limit = len(buffer) + max_bytes
        while len(buffer) < limit and (text := stream.read1(_CHUNK)):
            buffer.extend(text)
        form = _read_json if _is_valid_json(bytes(buffer)) else _read_lines
    yield from form(io.BufferedReader(LookaheadStream(stream.read1, lookahead=bytes(buffer)), _CHUNK), file, max_bytes)


@contextmanager
def _open_file(path: str, on_bytes: Callable[[int], None] | None) -> Iterator[io.BufferedIOBase]:
    """A file to read, unpacked if its name ends in .gz. `on_bytes` is told of the bytes of the file itself."""
    with FileStream(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), on_bytes) as file:  # a pipe would block
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, _NOT_A_FILE)
        buffered = io.BufferedReader(file, _CHUNK)
        if not path.lower().endswith(".gz"):
            yield buffered
            return
        from evtool.readers.gzip_stream import GzipStream  # noqa: PLC0415  (few files are compressed)

        yield io.BufferedReader(GzipStream(buffered), _CHUNK)


def _read_file(path: str, max_bytes: int, on_bytes: Callable[[int], None] | None) -> Iterator[SourceText | Finding]:
    name = path.lower()
    form = _read_json if name.endswith(_JSON_SUFFIXES) else _read_lines if name.endswith(_JSONL_SUFFIXES) else _read_any
    with _open_file(path, on_bytes) as stream:
        yield from form(stream, _format_path(path), max_bytes)
        stream.read(1)  # raises what is wrong behind the end


def _catch_errors(path: str, texts: Iterator[SourceText | Finding]) -> Iterator[SourceText | Finding]:
    """The texts, and what stops them as a finding."""
    try:
        yield from texts
    except OSError as error:
        yield _make_unreadable_finding(path, _describe_error(error))


def read_texts(
    paths: Sequence[str],
    *,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[SourceText | Finding]:
    """The event texts that paths name, each as it stands in its file, and a Finding for what cannot be read.

    A path is a JSON file (one value, or an array of them), a JSON Lines file (.jsonl, .ndjson), either also with .gz,
    a folder (its event files and those of the folders in it, in the order of their names), or "-" for `stdin`. Standard
    input and files with another ending are taken by what they hold. What cannot be read at all is EV001, a text of more
    than `max_bytes` EV008, a broken array EV002; the texts themselves are not parsed. `on_bytes` is told from time to
    time how many bytes of the files were read.
    """
    max_bytes = min(max_bytes, _UPPER_LIMIT)
    for path in paths:
        if path == STDIN:
            stream = io.BufferedReader(LookaheadStream(getattr(stdin, "read1", stdin.read), on_bytes), _CHUNK)
            yield from _catch_errors("<stdin>", _read_any(stream, "<stdin>", max_bytes))
            continue
        for file in _find_files(path):
            if isinstance(file, Finding):
                yield file
            else:
                yield from _catch_errors(file[0], _read_file(file[0], max_bytes, on_bytes))


def count_bytes(paths: Sequence[str]) -> int | None:
    """How many bytes the files that paths name have, or None where standard input is one of them."""
    if STDIN in paths:
        return None
    return sum(file[1] for path in paths for file in _find_files(path) if not isinstance(file, Finding))
