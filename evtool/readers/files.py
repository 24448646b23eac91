"""Reads the texts of events from files, folders and standard input. A bad text does not stop the others."""

import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.json_lines import Prover, read_lines
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.streams import BOM, CHUNK, WHITESPACE, ChunkStream, FileStream

MAX_BYTES = 1024 * 1024  # of one event, unless the caller says otherwise
_UPPER_LIMIT = 1 << 60  # of one event whatever the caller says: no file is longer, and readline() takes it
STDIN = "-"
STDIN_NAME = "<stdin>"  # in messages

_GZIP_MAGIC = b"\x1f\x8b"
_JSON_SUFFIXES = (".json", ".json.gz")
_JSONL_SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would block
EVENT_SUFFIXES = _JSON_SUFFIXES + _JSONL_SUFFIXES  # of the files that are read in a folder
_NOT_A_FILE = "it is a pipe, a socket or a device, not a file"


class SourceText(NamedTuple):
    """The bytes of one JSON value, without blanks around it, and where in a file it begins (from 1, in characters)."""

    file: str
    line: int
    column: int
    raw: bytes
    is_next_buffered: bool = False  # of a stream: the next one is here already, it need not be waited for
    record: Mapping[str, Any] | None = None  # the location of the record that the text is taken out of, if it is


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


def _is_plain_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _list_entries(folder: str) -> list[tuple[str, bool]]:
    """The folders and event files in a folder, and whether they are known to be files, in the order of their names.

    Hidden ones are left out.
    """
    with os.scandir(folder) as entries:
        return sorted(
            (entry.path, _is_plain_file(entry))
            for entry in entries
            if entry.name[0] != "." and (entry.name.lower().endswith(EVENT_SUFFIXES) or _is_folder(entry))
        )


def _find_files(root: str) -> Iterator[str | Finding]:
    """The files that a path names. A folder that is inside of itself is told and not followed."""
    pending: list[tuple[str, bool, tuple[tuple[int, int], ...]]] = [(root, False, ())]
    while pending:
        path, is_file, ancestors = pending.pop()
        if is_file:
            yield path
            continue
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
            pending += [(*entry, (*ancestors, identity)) for entry in reversed(entries)]
        elif stat.S_ISREG(status.st_mode):
            yield path
        else:
            yield _make_unreadable_finding(path, _NOT_A_FILE, 'pipe it in and name "-"')


# --- the texts in a file ---------------------------------------------------------------------------------------------


def _to_finding(problem: JsonProblem, file: str) -> Finding:
    message, hint = problem.message, problem.hint
    return Finding(problem.code, message, file=file, line=problem.line, column=problem.column, suggestion=hint)


def _read_lines(
    stream: io.BufferedReader, file: str, max_bytes: int, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    """JSON Lines: a text for every line that is not blank, and that `prover` does not prove to be a valid event."""
    for item in read_lines(stream, max_bytes=max_bytes, prover=prover):
        if isinstance(item, JsonProblem):
            yield _to_finding(item, file)
        else:
            yield SourceText(file, *item[1:3], item.raw)


def _read_documents(
    stream: io.BufferedIOBase, file: str, max_bytes: int, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    """A text for every document of any other file; those of the elements for an array."""
    from evtool.readers.json_documents import read_documents  # noqa: PLC0415  (JSON Lines do not need it)

    for item in read_documents(stream, max_bytes=max_bytes, prover=prover):
        if isinstance(item, JsonProblem):
            yield _to_finding(item, file)
        else:
            yield SourceText(file, item.line, item.column, item.raw, item.is_next_buffered)


def _peek_object(stream: io.BufferedReader) -> bytes | None:
    """The bytes of a small file that is one well-formed JSON object, as most are; else None."""
    head = stream.peek(CHUNK)
    if not head.startswith(b"{") or len(head) != os.fstat(stream.fileno()).st_size:
        return None
    try:
        parse_json(head)
    except JsonProblem:
        return None
    return head.rstrip(WHITESPACE)


def _has_one_line_documents(stream: io.BufferedReader) -> bool:
    """Whether a file with the name of JSON Lines is what its name says, and not a document over several lines."""
    first_line = stream.peek(CHUNK).removeprefix(BOM).lstrip(WHITESPACE).partition(b"\n")
    return not (first_line[1] and first_line[0].strip(WHITESPACE) in (b"{", b"["))


def _unpack(stream: "io.BufferedReader[Any]", *, is_packed: bool = False) -> io.BufferedReader:
    """The stream, unpacked if it begins as gzip does."""
    head = stream.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)]
    if not is_packed and not (head and _GZIP_MAGIC.startswith(head)):
        return stream
    from evtool.readers.gzip_stream import GzipStream  # noqa: PLC0415  (few files are compressed)

    return io.BufferedReader(GzipStream(stream), CHUNK)


@contextmanager
def _open_file(path: str, on_bytes: Callable[[int], None] | None) -> Iterator[io.BufferedReader]:
    """A file to read, unpacked if need be. `on_bytes` gets the numbers of bytes of the file itself."""
    with FileStream(os.open(path, _OPEN_FLAGS), on_bytes) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, _NOT_A_FILE)
        buffered = io.BufferedReader(file, CHUNK)
        yield _unpack(buffered, is_packed=path.lower().endswith(".gz"))


def _prove_file(path: str, max_bytes: int, prover: Prover) -> int:
    """How many bytes a small file has that is proven to be one valid event; 0 for others, which are read as usual."""
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
        elif not isinstance(stream.raw, FileStream) or (raw := _peek_object(stream)) is None or len(raw) > max_bytes:
            texts = _read_documents(stream, file, max_bytes, prover)
            yield from texts if name.endswith(_JSON_SUFFIXES) else _drop_empty(texts)
        else:
            yield SourceText(file, 1, 1, raw)
            stream.read(CHUNK)
        stream.read(1)  # raises what is wrong behind the end


def _read_stdin(
    stdin: BinaryIO, max_bytes: int, on_bytes: Callable[[int], None] | None, prover: Prover | None
) -> Iterator[SourceText | Finding]:
    stream = _unpack(io.BufferedReader(ChunkStream(getattr(stdin, "read1", stdin.read), on_bytes), CHUNK))
    yield from _drop_empty(_read_documents(stream, STDIN_NAME, max_bytes, prover))


def _drop_empty(texts: Iterator[SourceText | Finding]) -> Iterator[SourceText | Finding]:
    return (text for text in texts if isinstance(text, Finding) or text.raw)


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
    on_file: Callable[[str, str], None] | None = None,
    prover: Prover | None = None,
) -> Iterator[SourceText | Finding]:
    """The event texts that paths name, each as it is written in its file, and a Finding for what cannot be read.

    A path is a JSON file (documents one after the other, or an array of them), a JSON Lines file (.jsonl, .ndjson), a
    folder (its event files and those of the folders in it, in the order of their names), or "-" for `stdin`. All may be
    packed with gzip. Standard input and files with another ending are read as JSON files are. What cannot be read at
    all is EV001, a text of more than `max_bytes` EV008, a broken array EV002; the texts themselves are not parsed.
    `on_bytes` gets the number of bytes of each read of a file, `on_file` each file, with the path that names it.
    Events that `prover` proves to be valid may be left out.
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
            is_json = file.lower().endswith(".json")  # what ends in another way may have to be read in another way
            if prover and is_json and (size := _prove_file(file, max_bytes, prover)):
                if on_bytes:
                    on_bytes(size)
                continue
            yield from _catch_errors(file, _read_file(file, max_bytes, on_bytes, prover))


def count_bytes(paths: Sequence[str]) -> int | None:
    """How many bytes the files that paths name have, or None where standard input is one of them."""
    if STDIN in paths:
        return None
    size = 0
    for file in (file for path in paths for file in _find_files(path) if not isinstance(file, Finding)):
        with suppress(OSError):  # it is gone
            size += os.stat(file).st_size  # noqa: PTH116
    return size
