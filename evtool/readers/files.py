"""Event texts out of the files, folders and streams that a user names; a bad one never ends the others."""

import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from json import detect_encoding
from typing import BinaryIO, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.json_text import JsonProblem, parse
from evtool.readers.streams import File, Source, is_here

MAX_BYTES = 1024 * 1024  # of one event, unless the caller says otherwise
_MOST_BYTES = 1 << 60  # of one event whatever the caller says: no file is longer, and readline() takes it
STDIN = "-"

_CHUNK = 1 << 16
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\n\r"
_DOCUMENTS = (".json", ".json.gz")
_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_NO_FILE = "it is a pipe, a socket or a device, not a file"


class Piece(NamedTuple):
    """The bytes of one JSON value, without blanks around it, and where in a file it begins (from 1, in characters)."""

    file: str
    line: int
    column: int
    raw: bytes
    more: bool = False  # of a stream: the next one is here already, it need not be waited for


# --- which files -----------------------------------------------------------------------------------------------------


def _shown(path: str) -> str:
    """A path as messages have it: bytes that are not UTF-8 as backslash escapes, nothing said of the current folder."""
    try:
        known = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        known = path.encode(errors="backslashreplace").decode()
    return known.removeprefix("./")


def _unread(path: str, reason: str, hint: str | None = None) -> Finding:
    return Finding("EV001", f"cannot be read: {reason}", file=_shown(path), suggestion=hint)


def _because(error: Exception) -> str:
    if isinstance(error, ValueError):
        return "no file can have this name"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _entries(folder: str) -> list[str]:
    """The folders and event files in a folder, in the order of their names; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.path
            for entry in entries
            if entry.name[0] != "." and (entry.name.lower().endswith(_DOCUMENTS + _LINES) or _is_folder(entry))
        )


def _files(named: str) -> Iterator[tuple[str, int] | Finding]:
    """The files that a path names, with their sizes. A folder that is inside of itself is told and not followed."""
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [(named, ())]
    while waiting:
        path, around = waiting.pop()
        entries = []
        try:
            status = os.stat(path)  # noqa: PTH116  (Path("") is the current folder)
            if stat.S_ISDIR(status.st_mode):
                entries = _entries(path)
        except (OSError, ValueError) as error:
            yield _unread(path, _because(error))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in around:
            yield _unread(path, "it is a link to a folder that it is in")
        elif stat.S_ISDIR(status.st_mode):
            waiting += [(entry, (*around, identity)) for entry in reversed(entries)]
        elif stat.S_ISREG(status.st_mode):
            yield path, status.st_size
        else:
            yield _unread(path, _NO_FILE, 'pipe it in and name "-"')


# --- the texts in a file ---------------------------------------------------------------------------------------------


def _parses(raw: bytes) -> bool:
    try:
        parse(raw)
    except JsonProblem:
        return False
    return True


def _is_utf8(head: bytes) -> bool:
    return detect_encoding(head).startswith("utf-8")


def _too_long(file: str, line: int, column: int, message: str) -> Finding:
    return Finding("EV008", message, file=file, line=line, column=column)


def _lines(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[Piece | Finding]:
    """JSON Lines: a piece for every line that is not blank."""
    limit = max_bytes + len(b"\r\n")
    number = taken = 0
    try:
        while text := stream.readline(limit):
            number += 1
            taken += len(text)
            whole = len(text) < limit or text.endswith(b"\n")
            rest, blank = b"" if whole else text, not text.strip(_BLANK)
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(_CHUNK)
                taken += len(rest)
                blank = blank and not rest.strip(_BLANK)
            if number == 1:
                text = text.removeprefix(_BOM)
            raw = text.strip(_BLANK)
            if len(raw) > max_bytes or not (whole or blank):
                yield _too_long(file, number, 1, f"a line of more than {max_bytes} bytes is too long")
            elif raw:
                column = len(text) - len(text.lstrip(_BLANK)) + 1
                yield Piece(file, number, column, raw, more=is_here(stream, taken))
            if number == 1 and not _is_utf8(raw):
                return  # one finding for the file, not one for each line
    except OSError as error:
        if number == 0:
            raise
        raise OSError(error.errno, f"{_because(error)}, after line {number}") from None


def _array(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[Piece | Finding]:
    """A piece for every element of an array."""
    from evtool.readers.json_array import elements  # noqa: PLC0415  (its patterns take longer to compile than an event to read)

    for found in elements(stream, max_bytes=max_bytes):
        if isinstance(found, JsonProblem):
            yield Finding(
                found.code, found.message, file=file, line=found.line, column=found.column, suggestion=found.hint
            )
        else:
            yield Piece(file, found.line, found.column, found.raw)


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """The rest of a stream in parts: `read` would ask for the memory of all of them before it knows what is there."""
    return iter(lambda: stream.read1(_CHUNK), b"")


def _value(chunks: Iterator[bytes], file: str, max_bytes: int) -> Piece | Finding:
    """The one value that the chunks of a text hold. Of the blanks around it no more than a chunk is kept."""
    text, line, column = b"", 1, 1
    while not text and (chunk := next(chunks, b"")):
        text = chunk.lstrip(_BLANK)
        begin = len(chunk) - len(text)
        breaks = chunk.count(b"\n", 0, begin)
        line, column = line + breaks, begin - chunk.rfind(b"\n", 0, begin) if breaks else column + begin
    kept = bytearray(text)
    while len(kept) <= max_bytes and (chunk := next(chunks, b"")):
        kept += chunk
    raw = bytes(kept).rstrip(_BLANK)
    if len(raw) <= max_bytes and not any(chunk.strip(_BLANK) for chunk in chunks):
        return Piece(file, line, column, raw)
    first, _, rest = raw.partition(b"\n")
    if rest and _parses(first):
        message, hint = "there is more text after the end of the value", "one event a line belongs into a .jsonl file"
        return Finding("EV002", message, file=file, line=line + 1, column=1, suggestion=hint)
    return _too_long(file, line, column, f"an event of more than {max_bytes} bytes is too long")


def _json(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[Piece | Finding]:
    """A JSON file: one value, or an array of them."""
    head = b""
    while not head.removeprefix(_BOM).strip(_BLANK) and len(head) < _CHUNK and (chunk := stream.read1(_CHUNK)):
        head += chunk
    if head.removeprefix(_BOM).lstrip(_BLANK)[:1] == b"[" and _is_utf8(head):
        source = Source(stream.read1, ahead=head)
        yield from _array(io.BufferedReader(source, _CHUNK), file, max_bytes)
    else:
        yield _value(chain([head.removeprefix(_BOM)], _chunks(stream)), file, max_bytes)


def _any(stream: io.BufferedIOBase, file: str, max_bytes: int) -> Iterator[Piece | Finding]:
    """An array, JSON Lines, or one value, as the first two lines that are not blank look.

    It is JSON Lines when the first of them holds a value; and when the second begins an object at its very begin, which
    a value over several lines hardly has there, unless all of it together is a value.
    """
    ahead = bytearray()

    def line() -> bytes:
        """The next line that is not blank, as far as it may be kept."""
        while len(ahead) <= 2 * max_bytes and (text := stream.readline(max_bytes + len(b"\r\n"))):
            ahead.extend(text)
            if text.removeprefix(_BOM).strip(_BLANK):
                return text.removeprefix(_BOM)
        return b""

    first = line().strip(_BLANK)
    form = _json
    if first.startswith(b"[") and _is_utf8(first):
        form = _array
    elif not first or len(first) > max_bytes or _parses(first):
        form = _lines
    elif line().startswith(b"{"):
        most = len(ahead) + max_bytes
        while len(ahead) < most and (text := stream.read1(_CHUNK)):
            ahead.extend(text)
        form = _json if _parses(bytes(ahead)) else _lines
    yield from form(io.BufferedReader(Source(stream.read1, ahead=bytes(ahead)), _CHUNK), file, max_bytes)


@contextmanager
def _opened(path: str, on_bytes: Callable[[int], None] | None) -> Iterator[io.BufferedIOBase]:
    """A file to read, unpacked if its name ends in .gz. `on_bytes` is told of the bytes of the file itself."""
    with File(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), on_bytes) as file:  # a pipe would block
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, _NO_FILE)
        stored = io.BufferedReader(file, _CHUNK)
        if not path.lower().endswith(".gz"):
            yield stored
            return
        from evtool.readers.gzip_stream import Unpacked  # noqa: PLC0415  (few files are compressed)

        yield io.BufferedReader(Unpacked(stored), _CHUNK)


def _in_file(path: str, max_bytes: int, on_bytes: Callable[[int], None] | None) -> Iterator[Piece | Finding]:
    name = path.lower()
    form = _json if name.endswith(_DOCUMENTS) else _lines if name.endswith(_LINES) else _any
    with _opened(path, on_bytes) as stream:
        yield from form(stream, _shown(path), max_bytes)
        stream.read(1)  # raises what is wrong behind the end


def _guarded(path: str, pieces: Iterator[Piece | Finding]) -> Iterator[Piece | Finding]:
    """The pieces, and what stops them as a finding."""
    try:
        yield from pieces
    except OSError as error:
        yield _unread(path, _because(error))


def read(
    paths: Sequence[str],
    *,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Piece | Finding]:
    """The event texts that paths name, each as it stands in its file, and a Finding for what cannot be read.

    A path is a JSON file (one value, or an array of them), a JSON Lines file (.jsonl, .ndjson), either also with .gz,
    a folder (its event files and those of the folders in it, in the order of their names), or "-" for `stdin`. Standard
    input and files with another ending are taken by what they hold. What cannot be read at all is EV001, a text of more
    than `max_bytes` EV008, a broken array EV002; the pieces themselves are not parsed. `on_bytes` is told from time to
    time how many bytes of the files were read.
    """
    max_bytes = min(max_bytes, _MOST_BYTES)
    for named in paths:
        if named == STDIN:
            stream = io.BufferedReader(Source(getattr(stdin, "read1", stdin.read), on_bytes), _CHUNK)
            yield from _guarded("<stdin>", _any(stream, "<stdin>", max_bytes))
            continue
        for found in _files(named):
            if isinstance(found, Finding):
                yield found
            else:
                yield from _guarded(found[0], _in_file(found[0], max_bytes, on_bytes))


def total_bytes(paths: Sequence[str]) -> int | None:
    """How many bytes the files that paths name have, or None where standard input is one of them."""
    if STDIN in paths:
        return None
    return sum(found[1] for path in paths for found in _files(path) if not isinstance(found, Finding))
