"""Reads Terraform's language (HCL) into the shape of its JSON syntax, with the positions of all values.

A block `resource "aws_sqs_queue" "orders" {...}` is `{"resource": {"aws_sqs_queue": {"orders": {...}}}}`, and an
expression is a string with `${}` around it. The argument of `jsonencode` is the value itself.
"""

import re
from typing import Any, NamedTuple

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.locations import locate
from evtool.readers.yaml_text import Document, encode_position

_ESCAPE = re.compile(r'\\(?:(?P<char>[nrt"\\])|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEREDOC = re.compile(r"<<(-?)([^\n]*)\n(.*?)\n?[ \t]*\2\s*$", re.DOTALL)
_HEREDOC_START = re.compile(r"<<-?([A-Za-z_][\w-]*)[ \t]*$", re.MULTILINE)
_INSTALL = "reading .tf files needs python-hcl2: `pip install 'evtool-workbench[terraform]'`, or `terraform show -json`"
_LITERALS = ("string", "heredoc_template", "heredoc_template_trim", "int_lit", "float_lit", "literal_value")


class _Mark(NamedTuple):
    line: int
    column: int


class _Mapping:
    """A mapping that is built, with the positions of its keys and values."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.parts: list[Any] = []

    def add(self, key: str, key_position: int, value: Any, position: int, parts: Any) -> None:
        """Adds an entry; of two with the same key, the first one counts."""
        if key not in self.value:
            self.value[key] = value
            self.parts += key_position, position, parts


def load_hcl(raw: bytes, file: str) -> Document:
    """Reads a text in Terraform's language. `file` names it in findings.

    Raises ConfigError for what is not well-formed, UsageError if the package that parses it is not installed.
    """
    try:
        import hcl2  # noqa: PLC0415  (an extra, and slow to import)
        from lark.exceptions import UnexpectedInput  # noqa: PLC0415
    except ImportError:
        raise UsageError(f"{file}: {_INSTALL}") from None
    text = _trim_heredoc_ends(raw.decode(errors="replace").removeprefix("\ufeff"))
    try:
        tree = hcl2.parses_to_tree(text)
    except UnexpectedInput as error:
        lines = text.count("\n") + 1
        if 0 < error.line <= lines:
            line, column = (error.line, error.column)
        else:
            line, column = (lines, 1)
        location = locate(SourceText(file, 1, 1, raw), line, max(column, 1), 1)
        finding = Finding("EV025", "this is not expected here in Terraform's language", **location)
        raise ConfigError(f"{file} cannot be used", [finding]) from None
    try:
        body = _Reader(text).read_body(tree.children[0])
    except RecursionError:
        finding = Finding("EV007", "the file is nested too deeply", file=file, line=1, column=1)
        raise ConfigError(f"{file} cannot be used", [finding]) from None
    return Document(body.value, 0, body.parts)


def parse_expression(text: str) -> Any:
    """Returns the value of an expression. Raises ConfigError and UsageError as `load_hcl` does."""
    return load_hcl(f"value = {text}".encode(), "expression").value.get("value")


def _trim_heredoc_ends(text: str) -> str:
    """Removes blanks behind the words that end heredocs: Terraform allows them, and python-hcl2 does not."""
    for marker in set(_HEREDOC_START.findall(text)):
        text = re.sub(rf"^([ \t]*{re.escape(marker)})[ \t]+$", r"\1", text, flags=re.MULTILINE)
    return text


class _Reader:
    """Reads the nodes of a parse tree; `text` is their source."""

    def __init__(self, text: str):
        self._text = text

    def read_body(self, body: Any) -> _Mapping:
        """Returns the attributes and blocks of a body. A block without labels may be repeated: it is a list."""
        mapping = _Mapping()
        for node in body.children:
            kind = getattr(node, "data", None)
            if kind == "attribute":
                value, parts = self.read_expression(node.children[2])
                mapping.add(
                    self._get_source(node.children[0]), _position(node), value, _position(node.children[2]), parts
                )
            elif kind == "block":
                self._add_block(mapping, node)
        return mapping

    def _add_block(self, mapping: _Mapping, block: Any) -> None:
        names: list[str] = []
        content = _Mapping()
        for child in block.children:
            if _kind(child) in ("identifier", "string", "keyword"):
                names.append(self._get_label(child))
            elif _kind(child) == "body":
                content = self.read_body(child)
        name, labels, position = names[0], names[1:], _position(block)
        if not labels:
            blocks = mapping.value.setdefault(name, [])
            if not blocks:
                mapping.parts += position, position, []
            index = list(mapping.value).index(name)
            if isinstance(blocks, list):
                blocks.append(content.value)
                mapping.parts[3 * index + 2] += [position, position, content.parts]
            return
        for label in names[:-1]:
            inner = _Mapping()
            mapping.add(label, position, inner.value, position, inner.parts)
            inner.value = mapping.value[label]
            inner.parts = mapping.parts[3 * list(mapping.value).index(label) + 2]
            mapping = inner
        mapping.add(labels[-1], position, content.value, position, content.parts)

    def read_expression(self, node: Any) -> tuple[Any, Any]:
        """Returns the value of an expression, and the positions of its parts."""
        kind = _kind(node)
        children = [child for child in getattr(node, "children", []) if _kind(child) != "new_line_or_comment"]
        if kind == "expr_term" and len(children) == 1:
            return self.read_expression(children[0])
        if kind in _LITERALS:
            return self._read_literal(kind, node), None
        if kind == "tuple":
            return self._read_tuple(children)
        if kind == "object":
            result = self._read_object(children)
            if result is not None:
                return result
        if kind == "function_call" and self._get_source(children[0]) == "jsonencode":
            return self._read_argument(children)
        number = _parse_number(self._get_source(node))
        if number is not None:
            return number, None
        return f"${{{self._get_source(node)}}}", None

    def _read_literal(self, kind: str, node: Any) -> Any:
        if kind == "string":
            return self._read_string(node)
        if kind == "literal_value":
            return {"true": True, "false": False, "null": None}.get(self._get_source(node))
        if kind in ("int_lit", "float_lit"):
            return _parse_number(self._get_source(node))
        return self._read_heredoc(node)

    def _read_argument(self, children: list[Any]) -> tuple[Any, Any]:
        """Returns the first argument of a function call."""
        for child in children:
            if _kind(child) == "arguments":
                return self.read_expression(_list_terms(child)[0])
        return None, None

    def _read_tuple(self, children: list[Any]) -> tuple[list[Any], list[Any]]:
        values, parts = [], list[Any]()
        for child in children:
            if hasattr(child, "data"):
                value, value_parts = self.read_expression(child)
                values.append(value)
                parts += _position(child), _position(child), value_parts
        return values, parts

    def _read_object(self, children: list[Any]) -> tuple[dict[str, Any], list[Any]] | None:
        """Returns an object; None if one of its keys is an expression."""
        mapping = _Mapping()
        for element in children:
            if _kind(element) != "object_elem":
                continue
            key_node, value_node = element.children[0], element.children[-1]
            key = self._get_label(key_node)
            if re.search(r"[$%]\{|^\(", key):
                return None
            value, parts = self.read_expression(value_node)
            mapping.add(key, _position(key_node), value, _position(value_node), parts)
        return mapping.value, mapping.parts

    def _get_source(self, node: Any) -> str:
        if not hasattr(node, "meta"):
            return str(node)
        return self._text[node.meta.start_pos : node.meta.end_pos].strip()

    def _get_label(self, node: Any) -> str:
        source = self._get_source(node)
        if source.startswith('"'):
            return _unescape(source[1:-1])
        return source

    def _read_string(self, node: Any) -> str:
        """Returns the text of a string; what it interpolates stays as written."""
        text = ""
        for part in node.children:
            if _kind(part) != "string_part":
                continue
            for child in part.children:
                if getattr(child, "type", None) == "STRING_CHARS":
                    text += _unescape(str(child))
                else:
                    text += self._get_source(part)
        return text

    def _read_heredoc(self, node: Any) -> str:
        match = _HEREDOC.match(self._get_source(node) + "\n")
        if match:
            return match[3] + "\n"
        return self._get_source(node)


def _kind(node: Any) -> str:
    return str(getattr(node, "data", getattr(node, "type", "")))


def _position(node: Any) -> int:
    if hasattr(node, "meta"):
        place = node.meta
    else:
        place = node
    return encode_position(_Mark(place.line - 1, place.column - 1))


def _list_terms(node: Any) -> list[Any]:
    return [child for child in node.children if hasattr(child, "data") and _kind(child) != "new_line_or_comment"]


def _parse_number(text: str) -> int | float | None:
    if re.fullmatch(r"-?\d{1,300}", text):
        return int(text)
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d{1,3})?", text):
        return None
    number = float(text)
    # jsonencode writes 1.0 as 1.
    if number.is_integer():
        return int(number)
    return number


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match["char"]:
            return _ESCAPED[match["char"]]
        return chr(min(int(match["short"] or match["long"], 16), 0x10FFFF))

    return _ESCAPE.sub(replace, text)
