"""Parses YAML as strictly as JSON, with the positions of all values, and reports all errors."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import yaml
from yaml import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, StreamEndEvent

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.readers.yaml_hints import ALIAS_HINT, suggest_for_error, suggest_for_tag

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 100  # of mappings and lists in each other
MAX_DIGITS = 1000  # of an integer; more cannot always be printed
MAX_FINDINGS = 100  # then a file is wrong enough

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml it is 10 times slower
_BOM = "\ufeff"
_UTF8_HINT = "save the file as UTF-8"
_MAX_COLUMNS = 1 << 23  # more than a line can have: a place is line * _MAX_COLUMNS + column, both from 0
# compiled only for what is not plain: that takes longer than to read a small file
_FORBIDDEN_CHARACTER = "[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|\n")

# the plain scalars of YAML 1.2, core schema (https://yaml.org/spec/1.2.2/#103-core-schema)
_KEYWORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY_OR_NAN = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MANY, _last_numbered = 100, list[Any]([None, {}])  # a mapping of more entries, and which of them each key is
_MAYBE_NUMBER = frozenset("0123456789-+.")


class Document(NamedTuple):
    """A YAML document as plain Python, not to be changed, and where its parts stand.

    `parts` has three entries for each entry of a mapping or list: the place of its key (for lists, of the value), the
    place of its value, and the `parts` of that value if it is a mapping or list.
    """

    value: Any
    start: int = 0
    parts: list[Any] | None = None

    def source_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """The path itself: the value has the shape of the text."""
        return tuple(path)

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value that a path of keys and indices leads to, or of its key.

        A path that does not exist leads as far as it does exist.
        """
        value, parts, key_position, value_position = self.value, self.parts, self.start, self.start
        for step in path:
            index = _find_index(value, step)
            if index is None or parts is None:
                break
            key_position, value_position, parts = parts[3 * index : 3 * index + 3]
            value = value[step]
        line, column = divmod(key_position if key else value_position, _MAX_COLUMNS)
        return line + 1, column + 1


def _find_index(value: Any, step: str | int) -> int | None:
    """Which entry of a mapping or list a step of a path is."""
    if isinstance(value, dict) and len(value) > _MANY:
        if _last_numbered[0] is not value:  # thousands of routes are looked for one after the other
            _last_numbered[:] = value, {key: number for number, key in enumerate(value)}
        number: int | None = _last_numbered[1].get(step)
        return number
    if isinstance(value, dict):
        if step in value:
            return list(value).index(step)
        return None
    if isinstance(value, list) and isinstance(step, int):
        if 0 <= step < len(value):
            return step
        return None
    return None


def parse_plain_scalar(text: str) -> Any:
    """What a scalar without quotes means. Raises ValueError with a sentence for a number that cannot be kept."""
    if text[:1] not in _MAYBE_NUMBER:
        return _KEYWORDS.get(text, text)
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"an integer of {len(text)} digits is too long; {MAX_DIGITS} are allowed")
        return int(text, 0 if text[1:2] in ("o", "x") else 10)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{text[:40]} is too large for a number")
        return number
    if _INFINITY_OR_NAN.fullmatch(text):
        raise ValueError(f"{text} is not a number that can be used")
    return text


def encode_position(mark: Any) -> int:
    return int(mark.line) * _MAX_COLUMNS + int(mark.column)


def _is_plain_ascii(text: str) -> bool:
    """Whether a text has nothing but visible ASCII characters, tabs and line ends."""
    return text.isascii() and text.translate(dict.fromkeys(map(ord, "\t\n\r"))).isprintable()


class YamlReader:
    """Makes the value of a YAML text of the events of its parser, and notes what is wrong on the way.

    Lines and columns count from 0 in here, as the parser has them.
    """

    def __init__(self, text: str, file: str):
        self.text = text
        self.file = file
        self.findings: list[Finding] = []
        self.next_event: Any = None  # gives the next event of the parser

    @cached_property
    def lines(self) -> list[str]:
        return _LINE_END.split(self.text)

    def make_error(self) -> ConfigError:
        return ConfigError(f"{self.file} cannot be used", self.findings)

    def add_error(
        self, code: str, message: str, line: int, column: int, hint: str | None = None, width: int = 1
    ) -> None:
        place: dict[str, Any] = {"file": self.file, "line": line + 1, "column": column + 1, "excerpt": self.lines[line]}
        width = max(1, min(width, len(self.lines[line]) - column))
        self.findings.append(Finding(code, message, suggestion=hint, width=width, **place))
        if len(self.findings) == MAX_FINDINGS:
            raise self.make_error()

    def refuse(self, event: Any, message: str, hint: str | None = None, code: str = "EV020") -> None:
        start, end = event.start_mark, event.end_mark
        if end.line == start.line:
            width = end.column - start.column
        else:
            width = len(self.text)
        self.add_error(code, message, start.line, start.column, hint, width)

    def check_characters(self, raw: bytes) -> None:
        """Raise ConfigError when the file is not UTF-8, or has characters that YAML does not."""
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            self.add_error("EV004", "this is UTF-16, not UTF-8", 0, 0, _UTF8_HINT)
            raise self.make_error()
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            lines = _LINE_END.split(raw[: error.start].decode().removeprefix(_BOM))
            message = f"the byte 0x{raw[error.start]:02x} is not UTF-8 here"
            self.add_error("EV004", message, len(lines) - 1, len(lines[-1]), _UTF8_HINT)
            raise self.make_error() from None
        if not _is_plain_ascii(self.text) and (match := re.search(_FORBIDDEN_CHARACTER, self.text)):
            lines = _LINE_END.split(self.text[: match.start()])
            code = ord(match[0])
            message = f"the character U+{code:04X} cannot stand in YAML as it is"
            self.add_error(
                "EV020", message, len(lines) - 1, len(lines[-1]), f'in double quotes it is written "\\u{code:04x}"'
            )
            raise self.make_error()

    def read_document(self) -> Document:
        """The document. Raises ConfigError where nothing after a problem can be told."""
        try:
            self.next_event = _Loader(self.text).get_event
            self.next_event()  # the stream begins
            if isinstance(self.next_event(), StreamEndEvent):
                self.add_error("EV020", "there is no content", 0, 0)
                raise self.make_error()
            first_event = self.next_event()
            value, parts = self.read_value(first_event, 1)
            if value is None and isinstance(first_event, ScalarEvent) and not first_event.value:
                self.add_error("EV020", "there is no content", 0, 0)
            self.next_event()  # the document ends
            next_event = self.next_event()
            if not isinstance(next_event, StreamEndEvent):
                self.refuse(next_event, "a second document begins here", "a file holds one document")
        except yaml.MarkedYAMLError as error:
            self.add_parser_error(error)
            raise self.make_error() from None
        except (ValueError, OverflowError) as error:  # of PyYAML's own parser, for an escape that is no character
            self.add_error("EV020", str(error), 0, 0)
            raise self.make_error() from None
        return Document(value, encode_position(first_event.start_mark), parts)

    def add_parser_error(self, error: yaml.MarkedYAMLError) -> None:
        """Note where the parser gave up."""
        message, mark, context = str(error.problem), error.problem_mark, error.context_mark
        assert mark is not None, "libyaml and PyYAML always say where"
        if "alphabetic or numeric character" in message and context:  # of an alias or an anchor, which begins there
            mark = context
        line = self.lines[min(mark.line, len(self.lines) - 1)]
        hint = suggest_for_error(message, line[mark.column : mark.column + 1])
        if error.context:
            message += f" {error.context}"
        if context and mark.index >= len(self.text.rstrip()):
            mark = context  # what is not closed tells more than the end of the file
        elif context and encode_position(context) != encode_position(mark):
            message += f" that begins at {context.line + 1}:{context.column + 1}"
        self.add_error("EV020", message, min(mark.line, len(self.lines) - 1), mark.column, hint)

    def read_value(self, event: Any, depth: int) -> tuple[Any, list[Any] | None]:
        """The value that begins with an event, and the places of its parts."""
        event_type = type(event)
        if event_type is ScalarEvent:
            return self.read_scalar(event), None
        if event_type is AliasEvent:
            self.refuse(event, f"the alias *{event.anchor} is not allowed", ALIAS_HINT)
            return None, None
        if event.anchor or event.tag:
            self.refuse_properties(event)
        if depth > MAX_DEPTH:
            self.refuse(event, f"nested more than {MAX_DEPTH} levels deep")
            raise self.make_error()
        if event_type is MappingStartEvent:
            return self.read_mapping(depth)
        return self.read_sequence(depth)

    def refuse_properties(self, event: Any) -> None:
        """Refuse an anchor and a tag."""
        if event.anchor:
            self.refuse(event, f"the anchor &{event.anchor} is not allowed", "write the value out where it is wanted")
        if event.tag:
            self.refuse(event, "a tag is not allowed", suggest_for_tag(event.tag))

    def read_scalar(self, event: Any) -> Any:
        if event.anchor or event.tag:
            self.refuse_properties(event)
        if event.style:
            if event.style == '"' and _SURROGATE.search(event.value):  # PyYAML makes them of escapes, libyaml does not
                self.refuse(event, "half of a surrogate pair is not a character", "write the character itself", "EV006")
            return event.value
        try:
            return parse_plain_scalar(event.value)
        except ValueError as error:
            self.refuse(event, str(error), code="EV005")
            return None

    def read_sequence(self, depth: int) -> tuple[list[Any], list[Any]]:
        items: list[Any] = []
        parts: list[Any] = []
        while type(event := self.next_event()) is not SequenceEndEvent:
            value, value_parts = self.read_value(event, depth + 1)
            items.append(value)
            position = encode_position(event.start_mark)
            parts += position, position, value_parts
        return items, parts

    def read_mapping(self, depth: int) -> tuple[dict[Any, Any], list[Any]]:
        entries: dict[Any, Any] = {}
        parts: list[Any] = []
        while type(event := self.next_event()) is not MappingEndEvent:
            key = self.read_key(event, depth, entries, parts)
            value_event = self.next_event()
            entries[key], value_parts = self.read_value(value_event, depth + 1)
            parts += encode_position(event.start_mark), encode_position(value_event.start_mark), value_parts
        return entries, parts

    def read_key(self, event: Any, depth: int, entries: dict[Any, Any], parts: list[Any]) -> Any:
        """The key that an event begins; one that is refused is kept apart from all others."""
        name, _ = self.read_value(event, depth + 1)
        if not isinstance(event, ScalarEvent):
            self.refuse(event, "a key is a string, not a mapping, a list or an alias")
        elif not isinstance(name, str):
            key_text = event.value or "that is empty"
            self.refuse(event, f"the key {key_text} is not a string", f'quote this key: "{event.value}"')
        elif name == "<<" and not event.style:
            self.refuse(event, "merging with << is not allowed", "write the keys out")
        elif name in entries:
            line, column = divmod(parts[3 * list(entries).index(name)], _MAX_COLUMNS)
            message = f'the key "{name[:40]}" stands twice, first at {line + 1}:{column + 1}'
            self.refuse(event, message, code="EV003")
        else:
            return name
        return object()


def load_yaml(raw: bytes, file: str, reader_type: type[YamlReader] = YamlReader) -> Document:
    """The one document of a YAML text. `file` names it in findings.

    Scalars mean what YAML 1.2 says (`NO` is a string, `010` is ten). Refused are duplicate keys, keys that are no
    strings, anchors, aliases, merge keys, tags, infinity and NaN, several documents, nesting deeper than MAX_DEPTH and
    texts longer than MAX_BYTES. Another `reader_type` may allow some. Raises ConfigError with a finding for each.
    """
    reader = reader_type(raw[:MAX_BYTES].decode(errors="replace").removeprefix(_BOM), file)
    if len(raw) > MAX_BYTES:
        reader.add_error("EV020", f"the file is longer than {MAX_BYTES} bytes", 0, 0)
        raise reader.make_error()
    reader.check_characters(raw)
    document = reader.read_document()
    if reader.findings:
        raise reader.make_error()
    return document
