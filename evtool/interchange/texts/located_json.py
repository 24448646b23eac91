"""JSON documents with the positions of their values, which are found when they are asked for."""

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from json import JSONDecoder
from typing import Any

from evtool.errors import ConfigError
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, Span, find_spans, parse_json
from evtool.readers.locations import pointer_of, problem_to_finding


class JsonDocument:
    """The value of a JSON text, not to be changed, and where its parts are in the text."""

    def __init__(self, value: Any, texts: Sequence[bytes]):
        self.value = value
        # There are several if the value is the list of the documents in sequence.
        self._texts = texts

    def source_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """Returns the path itself: the value has the shape of the text."""
        return tuple(path)

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value that a path of keys and indices leads to, or of its key.

        A path that does not exist leads as far as it does exist.
        """
        steps = list(path)
        while pointer_of(steps) not in self._spans:
            steps.pop()
        span = self._spans[pointer_of(steps)]
        if key and span.key_line:
            return (span.key_line, span.key_column)
        return (span.line, span.column)

    @cached_property
    def _spans(self) -> dict[str, Span]:
        if len(self._texts) == 1:
            return find_spans(self._texts[0])
        spans: dict[str, Span] = {}
        for number, text in enumerate(self._texts):
            for pointer, span in find_spans(text).items():
                spans[f"/{number}{pointer}"] = span
        spans[""] = spans["/0"]
        return spans


def load_json(raw: bytes, file: str) -> JsonDocument:
    """Reads a JSON text with one document, or with several in sequence, which are a list then.

    Raises ConfigError with the first thing that is wrong. `file` names it there.
    """
    texts = _split_documents(raw)
    try:
        values = [parse_json(text) for text in texts]
    except JsonProblem as problem:
        raise ConfigError(
            f"{file} cannot be used", [problem_to_finding(SourceText(file, 1, 1, raw), problem)]
        ) from None
    if len(values) == 1:
        return JsonDocument(values[0], texts)
    return JsonDocument(values, texts)


def _split_documents(raw: bytes) -> list[bytes]:
    """Splits a text into its documents. Blanks replace the earlier ones, so that lines and columns stay the same."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # parse_json describes what is wrong.
        return [raw]
    starts: list[int] = []
    index, decoder = len(text) - len(text.lstrip(" \t\r\n\ufeff")), JSONDecoder()
    try:
        while index < len(text):
            starts.append(index)
            _, index = decoder.raw_decode(text, index)
            index += len(text[index:]) - len(text[index:].lstrip(" \t\r\n"))
    except (ValueError, RecursionError):
        # parse_json describes what is wrong with the last one.
        pass
    if len(starts) < 2:
        return [raw]
    documents: list[bytes] = []
    for start, end in pairwise(starts + [len(text)]):
        blanks = re.sub(r"[^\n]", " ", text[:start])
        documents.append((blanks + text[start:end]).encode())
    return documents
