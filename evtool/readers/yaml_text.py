"""Parses YAML as strictly as JSON, with the positions of all values, and reports all errors.

The positions are stored in flat lists of ints, which take little time and memory for a large template. A position is
one int: the line times 2**23 plus the column, both from 0. For the text

    a: 1
    b: [x]

`value` is {"a": 1, "b": ["x"]}, and `parts` has three entries for each member (line:column instead of the int):

    parts      [0:0, 0:3, None,        of a: key, value, parts of the value
                1:0, 1:3, [...]]       of b
    [...]      [1:4, 1:4, None]        of x: an element of a list has no key, so its position is there twice
"""

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
# Levels of nested mappings and lists.
MAX_DEPTH = 100
# Digits of an integer. Python refuses to print much longer ones.
MAX_DIGITS = 1000
# Then the reader gives up: probably the file is not YAML.
MAX_FINDINGS = 100

# The parser in Python is 10 times slower than libyaml. It is used where PyYAML was built without libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = "\ufeff"
_UTF8_HINT = "save the file as UTF-8"
# More columns than a line of MAX_BYTES can have.
_MAX_COLUMNS = 1 << 23
# Compiled only for a text with other characters than ASCII: to compile it takes longer than to read a small file.
_FORBIDDEN_CHARACTER = "[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|\n")

# The plain scalars of YAML 1.2, core schema (https://yaml.org/spec/1.2.2/#103-core-schema).
_KEYWORDS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_KEYWORDS |= dict.fromkeys(("true", "True", "TRUE"), True)
_KEYWORDS |= dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY_OR_NAN = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# For a mapping with more entries, the number of each key is kept: see `_find_index`.
_MANY = 100
# The last such mapping, and the number of each of its keys.
_last_numbered = list[Any]([None, {}])
_MAYBE_NUMBER = frozenset("0123456789-+.")


class Document(NamedTuple):
    """A YAML document as Python values, and the positions of its parts. The value must not be changed.

    `parts` has three entries for each entry of a mapping or list: the position of its key (in a list, of the value),
    the position of its value, and the `parts` of the value if it is a mapping or list.
    """

    value: Any
    start: int = 0
    parts: list[Any] | None = None

    def source_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """Returns the path unchanged, since the value has the structure of the text. Other documents differ."""
        return tuple(path)

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Returns the line and column, from 1, of the value at a path of keys and indices, or of its key.

        For a path that does not exist, the position is that of its last existing part.
        """
        value, parts, key_position, value_position = self.value, self.parts, self.start, self.start
        for step in path:
            index = _find_index(value, step)
            if index is None or parts is None:
                break
            key_position, value_position, parts = parts[3 * index : 3 * index + 3]
            value = value[step]
        position = value_position
        if key:
            position = key_position
        line, column = divmod(position, _MAX_COLUMNS)
        return line + 1, column + 1


def _find_index(value: Any, step: str | int) -> int | None:
    """Returns the number of the entry of a mapping or list that a step of a path leads to, or None."""
    if isinstance(value, dict) and len(value) > _MANY:
        # A search for each of thousands of routes would take quadratic time.
        if _last_numbered[0] is not value:
            _last_numbered[:] = value, {key: number for number, key in enumerate(value)}
        number: int | None = _last_numbered[1].get(step)
        return number
    if isinstance(value, dict) and step in value:
        return list(value).index(step)
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return step
    return None


def parse_plain_scalar(text: str) -> Any:
    """Returns the value of a scalar without quotes. Raises ValueError, with a message, for a number out of range."""
    if text[:1] not in _MAYBE_NUMBER:
        return _KEYWORDS.get(text, text)
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"an integer of {len(text)} digits is too long; {MAX_DIGITS} are allowed")
        # In base 0, Python reads the prefixes 0o and 0x, but refuses a leading zero.
        if text[1:2] in ("o", "x"):
            return int(text, 0)
        return int(text)
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
    """Returns whether a text has only visible ASCII characters, tabs and line ends."""
    return text.isascii() and text.translate(dict.fromkeys(map(ord, "\t\n\r"))).isprintable()


class YamlReader:
    """Builds the value of a YAML text from the events of the parser, and collects findings.

    Lines and columns count from 0 here, as in the parser.
    """

    def __init__(self, text: str, file: str):
        self.text = text
        self.file = file
        self.findings: list[Finding] = []
        # The function that returns the next event of the parser.
        self.next_event: Any = None

    @cached_property
    def lines(self) -> list[str]:
        return _LINE_END.split(self.text)

    def make_error(self) -> ConfigError:
        return ConfigError(f"{self.file} cannot be used", self.findings)

    def add_error(
        self, code: str, message: str, line: int, column: int, hint: str | None = None, width: int = 1
    ) -> None:
        excerpt = self.lines[line]
        finding = Finding(
            code,
            message,
            file=self.file,
            line=line + 1,
            column=column + 1,
            suggestion=hint,
            excerpt=excerpt,
            width=max(1, min(width, len(excerpt) - column)),
        )
        self.findings.append(finding)
        if len(self.findings) == MAX_FINDINGS:
            raise self.make_error()

    def refuse(self, event: Any, message: str, hint: str | None = None, code: str = "EV020") -> None:
        start, end = event.start_mark, event.end_mark
        # A value of several lines is underlined to the end of its first line: add_error() cuts the width.
        width = len(self.text)
        if end.line == start.line:
            width = end.column - start.column
        self.add_error(code, message, start.line, start.column, hint, width)

    def check_characters(self, raw: bytes) -> None:
        """Raises ConfigError if the file is not UTF-8, or has characters that YAML does not allow."""
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
        if _is_plain_ascii(self.text):
            return
        match = re.search(_FORBIDDEN_CHARACTER, self.text)
        if match:
            lines = _LINE_END.split(self.text[: match.start()])
            code = ord(match[0])
            message = f"the character U+{code:04X} is not allowed in YAML without an escape"
            hint = f'write "\\u{code:04x}" in double quotes'
            self.add_error("EV020", message, len(lines) - 1, len(lines[-1]), hint)
            raise self.make_error()

    def read_document(self) -> Document:
        """Returns the document. Raises ConfigError after a problem that prevents further parsing."""
        try:
            self.next_event = _Loader(self.text).get_event
            # The start of the stream, then that of the document.
            self.next_event()
            if isinstance(self.next_event(), StreamEndEvent):
                self.add_error("EV020", "the file is empty", 0, 0)
                raise self.make_error()
            first_event = self.next_event()
            value, parts = self.read_value(first_event, 1)
            if value is None and isinstance(first_event, ScalarEvent) and not first_event.value:
                self.add_error("EV020", "the file is empty", 0, 0)
            # The end of the document.
            self.next_event()
            next_event = self.next_event()
            if not isinstance(next_event, StreamEndEvent):
                self.refuse(next_event, "a second document begins here", "a file has one document")
        except yaml.MarkedYAMLError as error:
            self.add_parser_error(error)
            raise self.make_error() from None
        except (ValueError, OverflowError) as error:
            # From the parser in Python, for an escape that is not a character.
            self.add_error("EV020", str(error), 0, 0)
            raise self.make_error() from None
        return Document(value, encode_position(first_event.start_mark), parts)

    def add_parser_error(self, error: yaml.MarkedYAMLError) -> None:
        """Adds the error at which the parser stopped."""
        message, mark, context = str(error.problem), error.problem_mark, error.context_mark
        assert mark is not None, "both parsers give a position"
        # The name of an alias or anchor: the position of the alias is better than that of the wrong character.
        if "alphabetic or numeric character" in message and context:
            mark = context
        line = self.lines[min(mark.line, len(self.lines) - 1)]
        hint = suggest_for_error(message, line[mark.column : mark.column + 1])
        if error.context:
            message += f" {error.context}"
        if context and mark.index >= len(self.text.rstrip()):
            # The start of an open quote or bracket helps more than the end of the file.
            mark = context
        elif context and encode_position(context) != encode_position(mark):
            message += f" that begins at {context.line + 1}:{context.column + 1}"
        self.add_error("EV020", message, min(mark.line, len(self.lines) - 1), mark.column, hint)

    def read_value(self, event: Any, depth: int) -> tuple[Any, list[Any] | None]:
        """Returns the value that begins with an event, and the positions of its parts."""
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
        """Adds errors for an anchor and a tag."""
        if event.anchor:
            self.refuse(event, f"the anchor &{event.anchor} is not allowed", "write the value in each place")
        if event.tag:
            self.refuse(event, "a tag is not allowed", suggest_for_tag(event.tag))

    def read_scalar(self, event: Any) -> Any:
        if event.anchor or event.tag:
            self.refuse_properties(event)
        if event.style:
            # Only the parser in Python accepts the escape of a surrogate.
            if event.style == '"' and _SURROGATE.search(event.value):
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
        event = self.next_event()
        while type(event) is not SequenceEndEvent:
            value, value_parts = self.read_value(event, depth + 1)
            items.append(value)
            position = encode_position(event.start_mark)
            parts += position, position, value_parts
            event = self.next_event()
        return items, parts

    def read_mapping(self, depth: int) -> tuple[dict[Any, Any], list[Any]]:
        entries: dict[Any, Any] = {}
        parts: list[Any] = []
        event = self.next_event()
        while type(event) is not MappingEndEvent:
            key = self.read_key(event, depth, entries, parts)
            value_event = self.next_event()
            entries[key], value_parts = self.read_value(value_event, depth + 1)
            parts += encode_position(event.start_mark), encode_position(value_event.start_mark), value_parts
            event = self.next_event()
        return entries, parts

    def read_key(self, event: Any, depth: int, entries: dict[Any, Any], parts: list[Any]) -> Any:
        """Returns the key that begins with an event; for a refused key a new object, so that it replaces no other."""
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
            message = f'the key "{name[:40]}" occurs twice, first at {line + 1}:{column + 1}'
            self.refuse(event, message, code="EV003")
        else:
            return name
        return object()


def load_yaml(raw: bytes, file: str, reader_type: type[YamlReader] = YamlReader) -> Document:
    """Returns the only document of a YAML text. `file` is its name in findings.

    Scalars have the meaning of YAML 1.2: `NO` is a string, `010` is ten. It refuses duplicate keys, keys that are not
    strings, anchors, aliases, merge keys, tags, infinity and NaN, several documents, nesting deeper than MAX_DEPTH and
    texts longer than MAX_BYTES. Another `reader_type` may allow some of them. Raises ConfigError with all findings.
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
