"""Resolves the `$ref` references of schemas inside the schema folders; nothing is fetched over the network.

A reference is joined with the URI of the schema object that contains it, which gives a URI. Its part before "#" leads
to a document, the rest to a part of the document. Example, in the file /schemas/order.json without an `$id`:

    base URI:        file:///schemas/order.json
    reference:       money.json#/$defs/amount
    joined:          file:///schemas/money.json#/$defs/amount
    document:        the file /schemas/money.json, if it is in an allowed folder
    part:            what the pointer /$defs/amount leads to

If the order has `"$id": "https://shop.example/order"`, the base is this `$id` and the joined URI is
https://shop.example/money.json#/$defs/amount. Only for such a URI are all files of the schema folders read, to find the
schema with this `$id`.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.paths import is_file
from evtool.schemas.documents.declarations import NamedSchema, is_container, resolve_pointer
from evtool.schemas.documents.document import (
    SUFFIXES,
    SchemaDocument,
    Target,
    find_base,
    find_subschemas,
    join_uri,
    list_anchors,
    parse_document,
    read_schema,
)

# The published meta-schemas, which are built into the engine.
META_SCHEMAS = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
_META_PARTS = "https://json-schema.org/draft/"
_META_HINT = "only that of the draft in $schema is known: give $schema the same draft"


class NoTarget(NamedTuple):
    """The reason why a reference cannot be resolved, and a hint."""

    reason: str
    hint: str | None = None


class Library:
    """The schema documents of some folders. Each is read when it is first needed."""

    def __init__(self, folders: Sequence[Path], beside: Sequence[Path] = ()):
        """References may lead into `folders`, and into the folders of the files `beside`."""
        parents = [file.resolve().parent for file in beside]
        self._search_folders = [folder.resolve() for folder in folders] or parents
        self._allowed_folders = self._search_folders + parents
        self._documents: dict[Path, SchemaDocument] = {}
        # The documents by URI, and their anchors by URI with the fragment.
        self._targets: dict[str, Target] = {}
        self._is_complete = False

    def open(self, file: Path) -> SchemaDocument:
        """The document in a file. Raises ConfigError when the file is not a schema document."""
        # Path.resolve() raises for a link to itself.
        resolved = Path(os.path.realpath(file))
        if resolved not in self._documents:
            document = parse_document(read_schema(file), resolved.as_uri())
            self._documents[resolved] = document
            self._add_targets(document)
        return self._documents[resolved]

    def _add_targets(self, document: SchemaDocument) -> None:
        """Adds the URIs and anchors of a document. The first one with a URI stays, as in the engine."""
        self._targets[document.uri] = Target(document, "")
        for pointer, base, schema in find_subschemas(document):
            self._targets.setdefault(base, Target(document, pointer))
            for name in list_anchors(schema, document.id_keyword):
                self._targets.setdefault(f"{base}#{name}", Target(document, pointer))

    def find_part(self, schema: NamedSchema) -> str:
        """The pointer of the part that a pointer or an anchor names. Raises ConfigError if it does not exist."""
        document = self.open(schema.file)
        target = self._find_target(f"{document.uri}#{schema.fragment}")
        if isinstance(target, Target):
            return target.pointer
        name = f"{document.text.file}#{schema.fragment}"
        location = schema.locate() or document.locate("")
        finding = Finding("EV603", f'the schema "{name}" {target.reason}', suggestion=target.hint, **location)
        raise ConfigError(f"the schema {name} does not exist", [finding])

    def resolve(self, uri: str) -> Any:
        """The value of the part that a URI names, or None. Raises ConfigError when its file is not a schema."""
        target = self.find(uri)
        if target:
            return resolve_pointer(target.document.value, target.pointer)
        return None

    def find(self, uri: str) -> Target | None:
        """The part of a document that a URI names, or None. Raises ConfigError when its file is not a schema."""
        target = self._find_target(uri)
        if isinstance(target, Target):
            return target
        return None

    def locate(self, uri: str) -> dict[str, Any]:
        """The location of the part of a document that a URI names, as fields of a finding; empty without one."""
        target = self.find(uri)
        if target:
            return target.document.locate(target.pointer)
        return {}

    def join(self, uri: str, reference: str) -> str:
        """The URI that a reference names, in the part of a document that `uri` names."""
        target = self.find(uri)
        if target:
            return join_uri(find_base(target), reference)
        return reference

    def follow_references(self, root: Target, draft: str) -> tuple[list[Target], list[Finding]]:
        """The schemas that make up a schema, itself first, and a finding for each reference that cannot be followed.

        `draft` is that of the schema: a reference to the meta-schema of another draft cannot be followed.
        """
        findings: list[Finding] = []
        targets: dict[tuple[str, str], Target] = {}
        pending = [_needed_part(root)]
        documents: dict[str, SchemaDocument] = {}
        # The loop appends to the list that it reads.
        for part in pending:
            documents[part.document.uri] = part.document
            for pointer, base, schema in find_subschemas(part.document, part.pointer):
                reference = schema.get("$ref")
                if not isinstance(reference, str):
                    continue
                uri = join_uri(base, reference)
                target = self._follow(Target(part.document, pointer), uri, draft, findings)
                if target is None:
                    continue
                targets[part.document.uri, pointer] = target
                needed = _needed_part(target)
                if not any(needed.pointer == p.pointer and needed.document is p.document for p in pending):
                    pending.append(needed)
        return pending, list(dict.fromkeys(findings)) + _find_loops(targets, documents)

    def _follow(self, schema: Target, uri: str, draft: str, findings: list[Finding]) -> Target | None:
        """The part that the reference of a schema object leads to, or None with a finding if there is none."""
        meta_draft = _find_meta_draft(uri)
        if meta_draft:
            # The engine has the meta-schemas, so they do not become a part. It confuses those of different drafts.
            if _shorten_draft(draft) != meta_draft:
                reason = f"leads to the meta-schema of another draft than {_shorten_draft(draft)}"
                findings.append(_make_reference_finding(schema, reason, _META_HINT))
            return None
        try:
            target = self._find_target(uri)
        except ConfigError as error:
            findings += error.findings
            return None
        if isinstance(target, Target):
            return target
        findings.append(_make_reference_finding(schema, target.reason, target.hint))
        return None

    def _find_target(self, uri: str) -> Target | NoTarget:
        """The part of a document that a URI leads to, or the reason why it cannot be resolved."""
        address, _, fragment = uri.partition("#")
        base = self._find_document(address)
        if base is None:
            hint = "nothing is fetched: put the file there, or give it the $id that is referred to"
            return NoTarget("leads to no file of the schema folders", hint)
        if fragment and not fragment.startswith("/"):
            anchor = self._targets.get(uri)
            return anchor or NoTarget(f"leads to nothing: {base.document.text.file} has no {fragment}")
        target = Target(base.document, base.pointer + unquote(fragment))
        if resolve_pointer(base.document.value, target.pointer) is None:
            return NoTarget(f"leads to nothing: {base.document.text.file} has no {unquote(fragment)}")
        return target

    def _find_document(self, uri: str) -> Target | None:
        if uri in self._targets:
            return self._targets[uri]
        if uri.startswith("file:///"):
            # A path cannot contain a null byte: the operating system's functions raise for it.
            path = unquote_to_bytes(uri.removeprefix("file://")).replace(b"\0", b"")
            file = os.path.realpath(os.fsdecode(path))
            is_allowed = any(Path(file).is_relative_to(folder) for folder in self._allowed_folders)
            if is_allowed and is_file(file):
                return Target(self.open(Path(file)), "")
            return None
        if not self._is_complete:
            self._is_complete = True
            self._open_all()
        return self._targets.get(uri)

    def _open_all(self) -> None:
        """Reads all files of the folders, to find the one whose `$id` is wanted."""
        for folder in self._search_folders:
            for file in sorted(folder.rglob("*")):
                if file.name.endswith(SUFFIXES) and file.is_file():
                    # A file that is not a schema is reported only if something refers to it.
                    with suppress(ConfigError):
                        self.open(file)


def _needed_part(target: Target) -> Target:
    """The part that has to be valid if a reference leads to a target: the whole document, unless it is a container."""
    if is_container(target.document.value):
        return target
    return target._replace(pointer="")


def _find_meta_draft(uri: str) -> str | None:
    """The draft whose published meta-schema, or a part of it, a URI names; None for other URIs."""
    address = uri.partition("#")[0]
    if address in META_SCHEMAS or (address.startswith(_META_PARTS) and "/meta/" in address):
        return _shorten_draft(address)
    return None


def _shorten_draft(uri: str) -> str:
    """The name of a draft in the URI of its meta-schema: `draft-07`, `2020-12`."""
    for step in uri.split("/"):
        if step[:1] == "2" or step.startswith("draft-"):
            return step
    return uri


def _make_reference_finding(schema: Target, reason: str, hint: str | None = None) -> Finding:
    """The finding for the reference of a schema object."""
    pointer = f"{schema.pointer}/$ref"
    message = f'reference "{resolve_pointer(schema.document.value, pointer)[:100]}" {reason}'
    return Finding("EV603", message, suggestion=hint, **schema.document.locate(pointer))


def _find_loops(targets: dict[tuple[str, str], Target], documents: dict[str, SchemaDocument]) -> list[Finding]:
    """The findings for references that lead back to themselves without a step into the event.

    Their validation would never end, and the engine accepts them as valid schemas. Example: {"$ref": "#"}.
    """
    findings = []
    visited: set[tuple[str, str]] = set()
    for start in targets:
        path, current = [], start
        while current in targets and current not in visited:
            visited.add(current)
            path.append(current)
            current = (targets[current].document.uri, targets[current].pointer)
        if current in path:
            uri, pointer = current
            findings.append(_make_reference_finding(Target(documents[uri], pointer), "leads back to itself"))
    return findings
