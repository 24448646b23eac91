"""Reads the texts of events from files, folders and standard input. A broken text does not stop the others.

events/a.json       {"id": "1"} {"id": "2"}      two texts, at 1:1 and 1:13
events/b.jsonl      {"id": "3"}\\n{"id": "4"}\\n   two texts, at 1:1 and 2:1
events/c.json       [{"id": "5"}]                one text, at 1:2
events/d.json       a broken link                the finding EV001
"""

import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.json_lines import Prover, read_lines
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.streams import BOM, CHUNK, WHITESPACE, ChunkStream, FileStream

# Bytes of one event, the default of --max-bytes.
MAX_BYTES = 1024 * 1024
# Bytes of one event, the largest possible limit. No file is longer, and readline() accepts the number.
_UPPER_LIMIT = 1 << 60
STDIN = "-"
# The name of standard input in messages.
STDIN_NAME = "<stdin>"

_GZIP_MAGIC = b"\x1f\x8b"
_JSON_SUFFIXES = (".json", ".json.gz")
_JSONL_SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
# Without O_NONBLOCK, opening a named pipe would wait for a writer.
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# The names of the files that are read in a folder.
EVENT_SUFFIXES = _JSON_SUFFIXES + _JSONL_SUFFIXES
_NOT_A_FILE = "it is a pipe, a socket or a device, not a file"


class SourceText(NamedTuple):
    """The bytes of one JSON value without blanks around it, and its location (from 1, columns in characters)."""

    file: str
    line: int
    column: int
    raw: bytes
    # In a stream: the next text is in memory, so that reading it does not wait.
    is_next_buffered: bool = False
    # The location of the record of a queue or topic that contains the text.
    record: Mapping[str, Any] | None = None


# --- files -----------------------------------------------------------------------------------------------------------


def _format_path(path: str) -> str:
    """Formats a path for messages: with escapes for bytes that are not UTF-8, and without the current folder."""
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
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself.
        return False


def _is_plain_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _list_entries(folder: str) -> list[tuple[str, bool]]:
    """Returns the folders and event files in a folder by name, and whether each is a plain file. Skips hidden ones."""
    paths = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(EVENT_SUFFIXES) or _is_folder(entry):
                paths.append((entry.path, _is_plain_file(entry)))
    return sorted(paths)


def _find_files(root: str) -> Iterator[str | Finding]:
    """Yields the files of a path. A folder that contains itself by a link is a finding."""
    pending: list[tuple[str, bool, tuple[tuple[int, int], ...]]] = [(root, False, ())]
    while pending:
        path, is_file, ancestors = pending.pop()
        if is_file:
            yield path
            continue
        entries = []
        try:
            # Not Path(path).stat(): Path("") is the current folder.
            status = os.stat(path)  # noqa: PTH116
            if stat.S_ISDIR(status.st_mode):
                entries = _list_entries(path)
        except (OSError, ValueError) as error:
            yield _make_unreadable_finding(path, _describe_error(error))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in ancestors:
            yield _make_unreadable_finding(path, "it is a link to a folder that it is in")
        elif stat.S_ISDIR(status.st_mode):
            # Reversed, since the last one is taken next.
            for entry_path, is_plain_file in reversed(entries):
                pending.append((entry_path, is_plain_file, ancestors + (identity,)))
        elif stat.S_ISREG(status.st_mode):
            yield path
        else:
            yield _make_unreadable_finding(path, _NOT_A_FILE, 'pipe it in and name "-"')


# --- texts -----------------------------------------------------------------------------------------------------------


def _to_finding(problem: JsonProblem, file: str) -> Finding:
    message, hint = problem.message, problem.hint
    return Finding(problem.code, message, file=file, line=problem.line, column=problem.column, suggestion=hint)


def _read_lines(
    stream: io.BufferedReader, file: str, max_bytes: int, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    """Yields a text for each line of JSON Lines that is not blank, and that `prover` does not prove to be valid."""
    for item in read_lines(stream, max_bytes=max_bytes, prover=prover):
        if isinstance(item, JsonProblem):
            yield _to_finding(item, file)
        else:
            yield SourceText(file, item.line, item.column, item.raw)


def _read_documents(
    stream: io.BufferedIOBase, file: str, max_bytes: int, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    """Yields a text for each document of another file, and for each element of an array."""
    # Imported late: JSON Lines do not need it.
    from evtool.readers.json_documents import read_documents  # noqa: PLC0415

    for item in read_documents(stream, max_bytes=max_bytes, prover=prover):
        if isinstance(item, JsonProblem):
            yield _to_finding(item, file)
        else:
            yield SourceText(file, item.line, item.column, item.raw, item.is_next_buffered)


def _peek_object(stream: io.BufferedReader) -> bytes | None:
    """Returns the bytes of a small file that is one well-formed JSON object, as most files are; else None."""
    head = stream.peek(CHUNK)
    if not head.startswith(b"{") or len(head) != os.fstat(stream.fileno()).st_size:
        return None
    try:
        parse_json(head)
    except JsonProblem:
        return None
    return head.rstrip(WHITESPACE)


def _has_one_line_documents(stream: io.BufferedReader) -> bool:
    """Returns whether a file with the name of JSON Lines has JSON Lines, not a document of several lines."""
    first_line = stream.peek(CHUNK).removeprefix(BOM).lstrip(WHITESPACE).partition(b"\n")
    return not (first_line[1] and first_line[0].strip(WHITESPACE) in (b"{", b"["))


def _unpack(stream: "io.BufferedReader[Any]", *, is_packed: bool = False) -> io.BufferedReader:
    """Returns the stream, decompressed if it begins like gzip."""
    head = stream.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)]
    if not is_packed and not (head and _GZIP_MAGIC.startswith(head)):
        return stream
    # Imported late: few files are compressed.
    from evtool.readers.gzip_stream import GzipStream  # noqa: PLC0415

    return io.BufferedReader(GzipStream(stream), CHUNK)


@contextmanager
def _open_file(path: str, on_bytes: Callable[[int], None] | None) -> Iterator[io.BufferedReader]:
    """Opens a file, and decompresses gzip. `on_bytes` gets the numbers of bytes in the file, not of the text."""
    with FileStream(os.open(path, _OPEN_FLAGS), on_bytes) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, _NOT_A_FILE)
        buffered = io.BufferedReader(file, CHUNK)
        yield _unpack(buffered, is_packed=path.lower().endswith(".gz"))


def _prove_file(path: str, max_bytes: int, prover: Prover) -> int:
    """Returns the size of a small file that is proven to be one valid event; 0 for others, which are then read."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError):
        return 0
    try:
        raw = b""
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raw = os.read(descriptor, CHUNK)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    is_small = raw.startswith(b"{") and len(raw) < CHUNK and len(raw) <= max_bytes
    if is_small and prover.prove_document(raw):
        return len(raw)
    return 0


def _read_file(
    path: str, max_bytes: int, on_bytes: Callable[[int], None] | None, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    name, file = path.lower(), _format_path(path)
    with _open_file(path, on_bytes) as stream:
        if name.endswith(_JSONL_SUFFIXES) and _has_one_line_documents(stream):
            yield from _read_lines(stream, file, max_bytes, prover)
        else:
            yield from _read_other(stream, path, max_bytes, prover)
        # Raises the error of a compressed file that is damaged after its last text.
        stream.read(1)


def _read_other(
    stream: io.BufferedReader, path: str, max_bytes: int, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    """Yields the texts of a file that is not JSON Lines."""
    file = _format_path(path)
    if isinstance(stream.raw, FileStream):
        raw = _peek_object(stream)
        if raw is not None and len(raw) <= max_bytes:
            yield SourceText(file, 1, 1, raw)
            stream.read(CHUNK)
            return
    texts = _read_documents(stream, file, max_bytes, prover)
    # An empty .json file is an error. Another empty file may be a log without an entry.
    if not path.lower().endswith(_JSON_SUFFIXES):
        texts = _drop_empty(texts)
    yield from texts


def _read_stdin(
    stdin: BinaryIO, max_bytes: int, on_bytes: Callable[[int], None] | None, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    stream = _unpack(io.BufferedReader(ChunkStream(getattr(stdin, "read1", stdin.read), on_bytes), CHUNK))
    yield from _drop_empty(_read_documents(stream, STDIN_NAME, max_bytes, prover))


def _drop_empty(texts: Iterator[SourceText | Finding]) -> Iterator[SourceText | Finding]:
    return (text for text in texts if isinstance(text, Finding) or text.raw)


def _catch_errors(path: str, texts: Iterator[SourceText | Finding]) -> Iterator[SourceText | Finding]:
    """Yields the texts. An OSError becomes a finding and ends them."""
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
    on_file: Callable[[str, str], None] | None = None,
    prover: Prover | None = None,
) -> Iterator[SourceText | Finding]:
    """Yields the texts of events in files, exactly as written, and a Finding for each text that cannot be read.

    A path is a JSON file (several documents, or an array of them), a JSON Lines file (.jsonl, .ndjson), a folder (its
    event files and those of its subfolders, by name), or "-" for `stdin`. All may be compressed with gzip. Standard
    input and files with other names are read like JSON files.

    A file that cannot be read is EV001, a text with more than `max_bytes` EV008, a broken array EV002. The texts are
    not parsed. `on_bytes` gets the number of bytes of each read, `on_file` the path of the caller and the file. Events
    that `prover` proves to be valid may be missing.
    """
    max_bytes = min(max_bytes, _UPPER_LIMIT)
    for path in paths:
        if path == STDIN:
            if on_file:
                on_file(path, STDIN_NAME)
            yield from _catch_errors(STDIN_NAME, _read_stdin(stdin, max_bytes, on_bytes, prover))
            continue
        for file in _find_files(path):
            if isinstance(file, Finding):
                yield file
                continue
            if on_file:
                on_file(path, _format_path(file))
            size = 0
            # Files with other names may be compressed or have JSON Lines.
            if prover and file.lower().endswith(".json"):
                size = _prove_file(file, max_bytes, prover)
            if size:
                if on_bytes:
                    on_bytes(size)
                continue
            yield from _catch_errors(file, _read_file(file, max_bytes, on_bytes, prover))


def count_bytes(paths: Sequence[str]) -> int | None:
    """Returns the number of bytes in the files of paths, or None if standard input is one of them."""
    if STDIN in paths:
        return None
    size = 0
    for file in chain.from_iterable(map(_find_files, paths)):
        if isinstance(file, Finding):
            continue
        # A file may be deleted in between. The size is only for the progress line.
        with suppress(OSError):
            size += os.stat(file).st_size  # noqa: PTH116
    return size
