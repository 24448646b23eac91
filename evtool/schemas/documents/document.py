"""Reads schema documents from files, and finds the schema objects inside them.

Each schema object has a base URI, with which its references are joined. It is the URI of the document, or the nearest
`$id` on the way to the object. Example, in the file /schemas/order.json:

    {"properties": {"a": {"$ref": "x.json"}, "b": {"$id": "https://shop.example/b", "items": {"$ref": "x.json"}}}}

The base URI at /properties/a is file:///schemas/order.json; at /properties/b/items it is https://shop.example/b.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.readers.field_paths import split_pointer
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.locations import SourceMap, locate, location_of, pointer_of, problem_to_finding
from evtool.readers.yaml_text import Document as YamlDocument
from evtool.readers.yaml_text import load_yaml
from evtool.schemas.documents.declarations import DRAFT_4, allow_null, draft_of, is_container, resolve_pointer

# Keywords whose values are data: a "$ref" in them is not a reference.
DATA_KEYWORDS = ("const", "default", "enum", "example", "examples")
# Keywords whose keys are names that the author chose: a property may be called "$ref".
NAME_KEYWORDS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
YAML_SUFFIXES = (".yaml", ".yml")
SUFFIXES = (".json", *YAML_SUFFIXES)


class SchemaDocument(NamedTuple):
    """A schema document: its text, value and URI.

    `id_keyword` is the keyword that gives its parts their own URI. `yaml` has the positions of a document in YAML.
    """

    text: SourceText
    value: Any
    uri: str
    id_keyword: str
    yaml: YamlDocument | None = None

    def locate(self, pointer: str, *, key: bool = False) -> dict[str, Any]:
        """The location of a part of the document, or of its key, as fields of a finding."""
        if self.yaml is None:
            return location_of(SourceMap(self.text), pointer, key=key)
        path: list[str | int] = []
        value = self.yaml.value
        for name in split_pointer(pointer):
            if isinstance(value, list) and name.isdecimal():
                path.append(int(name))
            else:
                path.append(name)
            value = resolve_pointer(value, pointer_of([name]))
        line, column = self.yaml.position_of(path, key=key)
        return {"pointer": pointer} | locate(self.text, line, column, 1)


class Target(NamedTuple):
    """The part of a document that a reference leads to."""

    document: SchemaDocument
    pointer: str


def read_schema(file: Path) -> SourceText:
    """Reads the text of a schema. Raises ConfigError when the file cannot be read."""
    # A short name for messages, like that of every other file.
    if file.is_relative_to(Path.cwd()):
        display_name = os.path.relpath(file)
    else:
        display_name = str(file)
    try:
        if file.exists() and not file.is_file():
            raise OSError(0, "it is a folder, a pipe or a device")
        return SourceText(display_name, 1, 1, file.read_bytes())
    except OSError as error:
        finding = Finding("EV601", f"cannot read the schema: {error.strerror}", file=display_name)
        raise ConfigError(f"the schema {display_name} cannot be read", [finding]) from None


def parse_document(text: SourceText, uri: str) -> SchemaDocument:
    """Parses the document in a text. Raises ConfigError when it is not well-formed, or not an object or boolean."""
    yaml = None
    try:
        if text.file.endswith(YAML_SUFFIXES):
            yaml = load_yaml(text.raw, text.file)
            value = yaml.value
        else:
            value = parse_json(text.raw)
    except JsonProblem as error:
        finding = problem_to_finding(text, error)._replace(code="EV601")
        raise ConfigError(f"the schema {text.file} is not well-formed JSON", [finding]) from None
    except ConfigError as error:
        findings = [finding._replace(code="EV601") for finding in error.findings]
        raise ConfigError(f"the schema {text.file} is not well-formed YAML", findings) from None
    draft = draft_of(value)
    if is_container(value) and draft == DRAFT_4:
        value = allow_null(value)
    id_keyword = "$id"
    if isinstance(value, dict) and "draft-04" in str(value.get("$schema")):
        id_keyword = "id"
    document = SchemaDocument(text, value, uri, id_keyword, yaml)
    if not isinstance(value, dict | bool):
        finding = Finding("EV602", "a schema is a JSON object, true or false", **document.locate(""))
        raise ConfigError(f"the schema {text.file} cannot be used", [finding])
    return document


def join_uri(base: str, reference: str) -> str:
    """Joins a reference with its base URI. Returns a malformed reference unchanged, since it cannot be resolved."""
    # urljoin() would drop an empty fragment and change URNs.
    if reference.startswith("#"):
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def list_anchors(schema: Mapping[str, Any], id_keyword: str) -> Iterator[str]:
    """The anchors of a schema object, which references can name."""
    identifier = schema.get(id_keyword)
    # Up to draft 7, an identifier such as "#money" is an anchor.
    if isinstance(identifier, str) and identifier[:1] == "#":
        yield identifier.removeprefix("#")
    for keyword in ("$anchor", "$dynamicAnchor"):
        name = schema.get(keyword)
        if isinstance(name, str):
            yield name.removeprefix("#")


def find_subschemas(document: SchemaDocument, start: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every schema object below `start`, in the order of the text: its pointer, the base URI of its references, itself.

    A stack takes the place of recursion: a schema may be nested more deeply than Python's stack is.
    """
    if start:
        base = find_base(Target(document, start.rpartition("/")[0]))
    else:
        base = document.uri
    stack: list[tuple[str, str, Any, bool]] = [(start, base, resolve_pointer(document.value, start), False)]
    while stack:
        pointer, base, value, has_name_keys = stack.pop()
        if isinstance(value, list):
            for index in reversed(range(len(value))):
                stack.append((f"{pointer}/{index}", base, value[index], False))
        if not isinstance(value, dict):
            continue
        if not has_name_keys:
            identifier = value.get(document.id_keyword)
            if isinstance(identifier, str) and identifier[:1] != "#":
                base = join_uri(base, identifier).removesuffix("#")
            yield pointer, base, value
        for key, item in reversed(value.items()):
            if has_name_keys or key not in DATA_KEYWORDS:
                is_map = not has_name_keys and key in NAME_KEYWORDS
                stack.append((pointer + pointer_of([key]), base, item, is_map))


def find_base(target: Target) -> str:
    """The base URI of the references in a part of a document: the nearest `$id` on the way to it."""
    value, base, keyword = target.document.value, target.document.uri, target.document.id_keyword
    steps = target.pointer.split("/")[1:]
    for number in range(len(steps) + 1):
        part = resolve_pointer(value, "/".join([""] + steps[:number]))
        identifier = None
        if isinstance(part, dict):
            identifier = part.get(keyword)
        if isinstance(identifier, str) and identifier[:1] != "#":
            base = join_uri(base, identifier).removesuffix("#")
    return base
