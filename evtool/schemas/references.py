"""Resolves the `$ref` references of schemas inside the schema folders; nothing is fetched over the network."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes, urljoin

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.paths import is_file
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.locations import SourceMap, locate, location_of, pointer_of, problem_to_finding
from evtool.readers.yaml_text import Document as YamlDocument
from evtool.readers.yaml_text import load_yaml
from evtool.schemas.documents import DRAFT_4, NamedSchema, allow_null, draft_of, is_container, resolve_pointer

DATA_KEYWORDS = ("const", "default", "enum", "example", "examples")  # keywords whose values are no schemas
# keywords whose keys are no keywords
NAME_KEYWORDS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
YAML_SUFFIXES = (".yaml", ".yml")
SUFFIXES = (".json", *YAML_SUFFIXES)
META_SCHEMAS = (  # the engine has them
    *(f"http://json-schema.org/draft-0{number}/schema" for number in (4, 6, 7)),
    *(f"https://json-schema.org/draft/{year}/schema" for year in ("2019-09", "2020-12")),
)
_META_PARTS = "https://json-schema.org/draft/"
_META_HINT = "only that of the draft in $schema is known: give $schema the same draft"


class SchemaDocument(NamedTuple):
    """A schema document: its text, its value, its URI, and which keyword gives its parts a URI of their own."""

    text: SourceText
    value: Any
    uri: str
    id_keyword: str
    yaml: YamlDocument | None = None  # the positions, of a document that is written in YAML

    def locate(self, pointer: str, *, key: bool = False) -> dict[str, Any]:
        """The location of a part of the document, or of its key, as fields of a finding."""
        if self.yaml is None:
            return location_of(SourceMap(self.text), pointer, key=key)
        path: list[str | int] = []
        value = self.yaml.value
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            path.append(int(name) if isinstance(value, list) and name.isdecimal() else name)
            value = resolve_pointer(value, f"/{step}")
        return {"pointer": pointer, **locate(self.text, *self.yaml.position_of(path, key=key), 1)}


class Target(NamedTuple):
    """A part of a document: what a reference leads to."""

    document: SchemaDocument
    pointer: str


class Library:
    """The schema documents of some folders, each read when it is first asked for."""

    def __init__(self, folders: Sequence[Path], beside: Sequence[Path] = ()):
        """References may lead into `folders`, and to what is beside or below the files `beside`."""
        parents = [file.resolve().parent for file in beside]
        self._search_folders = [folder.resolve() for folder in folders] or parents
        self._allowed_folders = [*self._search_folders, *parents]
        self._documents: dict[Path, SchemaDocument] = {}
        self._targets: dict[str, Target] = {}  # by URI, with the fragment if it is an anchor
        self._is_complete = False

    def open(self, file: Path) -> SchemaDocument:
        """The document in a file. Raises ConfigError when it is none."""
        resolved = Path(os.path.realpath(file))  # Path.resolve() raises for a link to itself
        if resolved not in self._documents:
            self._documents[resolved] = document = _parse_document(_read_schema(file), resolved.as_uri())
            self._targets[document.uri] = Target(document, "")
            for pointer, base, schema in _find_subschemas(document):
                self._targets.setdefault(base, Target(document, pointer))
                for keyword in (document.id_keyword, "$anchor", "$dynamicAnchor"):
                    if isinstance(name := schema.get(keyword), str) and (
                        keyword != document.id_keyword or name[:1] == "#"
                    ):
                        self._targets.setdefault(f"{base}#{name.removeprefix('#')}", Target(document, pointer))
        return self._documents[resolved]

    def find_part(self, schema: NamedSchema) -> str:
        """The pointer of a part that is named by a pointer or an anchor. Raises ConfigError if there is none."""
        document = self.open(schema.file)
        target = self._find_target(f"{document.uri}#{schema.fragment}")
        if isinstance(target, Target):
            return target.pointer
        name = f"{document.text.file}#{schema.fragment}"
        location = schema.locate() or document.locate("")
        finding = Finding("EV603", f'the schema "{name}" {target[0]}', suggestion=target[1], **location)
        raise ConfigError(f"the schema {name} does not exist", [finding])

    def resolve(self, uri: str) -> Any:
        """The value of what a URI names, or None. Raises ConfigError when its file is no schema."""
        target = self.find(uri)
        if target:
            return resolve_pointer(target.document.value, target.pointer)
        return None

    def find(self, uri: str) -> Target | None:
        """The part of a document that a URI names, or None. Raises ConfigError when its file is no schema."""
        target = self._find_target(uri)
        if isinstance(target, Target):
            return target
        return None

    def locate(self, uri: str) -> dict[str, Any]:
        """The location of the part of a document that a URI names, as fields of a finding; empty if there is none."""
        target = self.find(uri)
        if target:
            return target.document.locate(target.pointer)
        return {}

    def join(self, uri: str, reference: str) -> str:
        """The URI that a reference names in the part of a document that has a URI."""
        target = self.find(uri)
        if target:
            return _join_uri(_find_base(target), reference)
        return reference

    def follow_references(self, root: Target, draft: str) -> tuple[list[Target], list[Finding]]:
        """The schemas that make up a schema, itself first, and every reference in them that cannot be followed.

        `draft` is that of the schema: the engine has the meta-schema of this draft only.
        """
        findings: list[Finding] = []
        targets: dict[tuple[str, str], Target] = {}
        pending = [_needed_part(root)]
        documents: dict[str, SchemaDocument] = {}
        for part in pending:
            documents[part.document.uri] = part.document
            for pointer, base, schema in _find_subschemas(part.document, part.pointer):
                reference = schema.get("$ref")
                if not isinstance(reference, str):
                    continue
                meta_draft = _find_meta_draft(_join_uri(base, reference))
                if meta_draft:
                    if _shorten_draft(draft) != meta_draft:
                        reason = f"leads to the meta-schema of another draft than {_shorten_draft(draft)}"
                        findings.append(_make_reference_finding(part.document, pointer, reason, _META_HINT))
                    continue
                try:
                    target = self._find_target(_join_uri(base, reference))
                except ConfigError as error:
                    findings += error.findings
                    continue
                if not isinstance(target, Target):
                    findings.append(_make_reference_finding(part.document, pointer, *target))
                    continue
                targets[part.document.uri, pointer] = target
                needed = _needed_part(target)
                if not any(needed.pointer == p.pointer and needed.document is p.document for p in pending):
                    pending.append(needed)
        return pending, list(dict.fromkeys(findings)) + _find_loops(targets, documents)

    def _find_target(self, uri: str) -> Target | tuple[str, str | None]:
        """Where a URI leads, or why nowhere, with a hint."""
        address, _, fragment = uri.partition("#")
        base = self._find_document(address)
        if base is None:
            hint = "nothing is fetched: put the file there, or give it the $id that is referred to"
            return "leads to no file of the schema folders", hint
        if fragment and not fragment.startswith("/"):
            return self._targets.get(uri) or (f"leads to nothing: {base.document.text.file} has no {fragment}", None)
        target = Target(base.document, base.pointer + unquote(fragment))
        if resolve_pointer(base.document.value, target.pointer) is None:
            return f"leads to nothing: {base.document.text.file} has no {unquote(fragment)}", None
        return target

    def _find_document(self, uri: str) -> Target | None:
        if uri in self._targets:
            return self._targets[uri]
        if uri.startswith("file:///"):
            path = unquote_to_bytes(uri.removeprefix("file://")).replace(b"\0", b"")
            file = os.path.realpath(os.fsdecode(path))
            is_allowed = any(Path(file).is_relative_to(folder) for folder in self._allowed_folders)
            if is_allowed and is_file(file):
                return Target(self.open(Path(file)), "")
            return None
        if not self._is_complete:
            self._is_complete = True
            files = (f for folder in self._search_folders for f in sorted(folder.rglob("*")))
            for schema_file in (f for f in files if f.name.endswith(SUFFIXES) and f.is_file()):
                with suppress(ConfigError):  # it may be no schema at all
                    self.open(schema_file)
        return self._targets.get(uri)


def _read_schema(file: Path) -> SourceText:
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


def _parse_document(text: SourceText, uri: str) -> SchemaDocument:
    """The document in a text. Raises ConfigError when it is not well-formed, or neither an object nor a boolean."""
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
    has_old_id = isinstance(value, dict) and "draft-04" in str(value.get("$schema"))
    document = SchemaDocument(text, value, uri, "id" if has_old_id else "$id", yaml)
    if not isinstance(value, dict | bool):
        finding = Finding("EV602", "a schema is a JSON object, true or false", **document.locate(""))
        raise ConfigError(f"the schema {text.file} cannot be used", [finding])
    return document


def _needed_part(target: Target) -> Target:
    """What has to be a schema if a reference leads to a target: the whole document, unless it is a container."""
    if is_container(target.document.value):
        return target
    return target._replace(pointer="")


def _find_meta_draft(uri: str) -> str | None:
    """The draft of the published meta-schema, or of the part of one, that a URI is that of."""
    address = uri.partition("#")[0]
    is_meta = address in META_SCHEMAS or (address.startswith(_META_PARTS) and "/meta/" in address)
    if is_meta:
        return _shorten_draft(address)
    return None


def _shorten_draft(uri: str) -> str:
    """The name of a draft in the URI of its meta-schema: `draft-07`, `2020-12`."""
    return next((step for step in uri.split("/") if step[:1] == "2" or step.startswith("draft-")), uri)


def _join_uri(base: str, reference: str) -> str:
    if reference.startswith("#"):
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _find_subschemas(document: SchemaDocument, start: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every schema object below `start`: its pointer, the URI that its references count from, and itself."""
    if start:
        base = _find_base(Target(document, start.rpartition("/")[0]))
    else:
        base = document.uri
    stack: list[tuple[str, str, Any, bool]] = [(start, base, resolve_pointer(document.value, start), False)]
    while stack:
        pointer, base, value, has_name_keys = stack.pop()
        if isinstance(value, list):
            stack += [(f"{pointer}/{index}", base, item, False) for index, item in reversed(list(enumerate(value)))]
        if not isinstance(value, dict):
            continue
        if not has_name_keys:
            identifier = value.get(document.id_keyword)
            if isinstance(identifier, str) and identifier[:1] != "#":
                base = _join_uri(base, identifier).removesuffix("#")
            yield pointer, base, value
        stack += [
            (pointer + pointer_of([key]), base, item, not has_name_keys and key in NAME_KEYWORDS)
            for key, item in reversed(value.items())
            if has_name_keys or key not in DATA_KEYWORDS
        ]


def _find_base(target: Target) -> str:
    """The URI that references in a part of a document count from."""
    value, base, keyword = target.document.value, target.document.uri, target.document.id_keyword
    steps = target.pointer.split("/")[1:]
    for number in range(len(steps) + 1):
        part = resolve_pointer(value, "".join(f"/{step}" for step in steps[:number]))
        identifier = None
        if isinstance(part, dict):
            identifier = part.get(keyword)
        if isinstance(identifier, str) and identifier[:1] != "#":
            base = _join_uri(base, identifier).removesuffix("#")
    return base


def _make_reference_finding(document: SchemaDocument, pointer: str, reason: str, hint: str | None = None) -> Finding:
    reference_pointer = f"{pointer}/$ref"
    message = f'reference "{resolve_pointer(document.value, reference_pointer)[:100]}" {reason}'
    return Finding("EV603", message, suggestion=hint, **document.locate(reference_pointer))


def _find_loops(targets: dict[tuple[str, str], Target], documents: dict[str, SchemaDocument]) -> list[Finding]:
    """References that lead back to themselves without reading on in the event never end; the engine takes them."""
    findings = []
    visited: set[tuple[str, str]] = set()
    for start in targets:
        path, current = [], start
        while current in targets and current not in visited:
            visited.add(current)
            path.append(current)
            current = (targets[current].document.uri, targets[current].pointer)
        if current in path:
            findings.append(_make_reference_finding(documents[current[0]], current[1], "leads back to itself"))
    return findings
