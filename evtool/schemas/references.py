"""References: the `$ref`s of schemas, followed inside the schema folders before the engine does; nothing is fetched."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes, urljoin

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.paths import is_file
from evtool.readers.files import Piece
from evtool.readers.json_text import JsonProblem, parse
from evtool.readers.locations import Origin, place, pointer_of, problem

DATA = ("const", "default", "enum", "example", "examples")  # keywords whose values are no schemas
NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")  # their keys are no keywords


class Text(NamedTuple):
    """A schema document: its text, its value, its URI, and which keyword gives its parts a URI of their own."""

    piece: Piece
    value: Any
    uri: str
    id_keyword: str


class Target(NamedTuple):
    """What a reference leads to: a place in a document."""

    text: Text
    pointer: str


class Library:
    """The schema documents of some folders, each read when it is first asked for."""

    def __init__(self, folders: Sequence[Path], beside: Path | None = None):
        """References may lead into `folders`, and to what is beside or below the file `beside`."""
        around = [beside.resolve().parent] if beside else []
        self._searched = [folder.resolve() for folder in folders] or around
        self._allowed = [*self._searched, *around]
        self._texts: dict[Path, Text] = {}
        self._known: dict[str, Target] = {}  # by URI, with the fragment if it is an anchor
        self._complete = False

    def open(self, file: Path) -> Text:
        """The document in a file. Raises ConfigError when it is none."""
        real = Path(os.path.realpath(file))  # Path.resolve() raises for a link to itself
        if real not in self._texts:
            piece = _read(file)
            value = _parse(piece)
            old = isinstance(value, dict) and "draft-04" in str(value.get("$schema"))
            self._texts[real] = text = Text(piece, value, real.as_uri(), "id" if old else "$id")
            self._known[text.uri] = Target(text, "")
            for pointer, base, schema in _subschemas(text):
                self._known.setdefault(base, Target(text, pointer))
                for keyword in (text.id_keyword, "$anchor", "$dynamicAnchor"):
                    if isinstance(name := schema.get(keyword), str) and (keyword != text.id_keyword or name[:1] == "#"):
                        self._known.setdefault(f"{base}#{name.removeprefix('#')}", Target(text, pointer))
        return self._texts[real]

    def at(self, uri: str) -> Any:
        """The part of a document that a URI names, or None. Raises ConfigError when its file is no schema."""
        target = self._follow(uri)
        return _part(target.text.value, target.pointer) if isinstance(target, Target) else None

    def follow(self, root: Text) -> tuple[list[Text], list[Finding]]:
        """The documents that make up a schema, itself first, and every reference in them that cannot be followed."""
        findings: list[Finding] = []
        leads: dict[tuple[str, str], Target] = {}
        texts = {root.uri: root}
        waiting = [root]
        for text in waiting:
            for pointer, base, schema in _subschemas(text):
                reference = schema.get("$ref")
                if not isinstance(reference, str):
                    continue
                try:
                    target = self._follow(_joined(base, reference))
                except ConfigError as error:
                    findings += error.findings
                    continue
                if not isinstance(target, Target):
                    findings.append(_unfollowed(text, pointer, *target))
                    continue
                leads[text.uri, pointer] = target
                if target.text.uri not in texts:
                    texts[target.text.uri] = target.text
                    waiting.append(target.text)
        return waiting, list(dict.fromkeys(findings)) + _loops(leads, texts)

    def _follow(self, uri: str) -> Target | tuple[str, str | None]:
        """Where a URI leads, or why nowhere, with a hint."""
        address, _, fragment = uri.partition("#")
        start = self._document(address)
        if start is None:
            hint = "nothing is fetched: put the file there, or give it the $id that is referred to"
            return "leads to no file of the schema folders", hint
        if fragment and not fragment.startswith("/"):
            return self._known.get(uri) or (f"leads to nothing: {start.text.piece.file} has no {fragment}", None)
        target = Target(start.text, start.pointer + unquote(fragment))
        if _part(start.text.value, target.pointer) is None:
            return f"leads to nothing: {start.text.piece.file} has no {unquote(fragment)}", None
        return target

    def _document(self, uri: str) -> Target | None:
        if uri in self._known:
            return self._known[uri]
        if uri.startswith("file:///"):
            named = unquote_to_bytes(uri.removeprefix("file://")).replace(b"\0", b"")
            file = os.path.realpath(os.fsdecode(named))
            inside = any(Path(file).is_relative_to(folder) for folder in self._allowed)
            return Target(self.open(Path(file)), "") if inside and is_file(file) else None
        if not self._complete:
            self._complete = True
            for each in (f for folder in self._searched for f in sorted(folder.rglob("*.json")) if f.is_file()):
                with suppress(ConfigError):  # it may be no schema at all
                    self.open(each)
        return self._known.get(uri)


def _read(file: Path) -> Piece:
    shown = os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)
    try:
        if file.exists() and not file.is_file():
            raise OSError(0, "it is a folder, a pipe or a device")
        return Piece(shown, 1, 1, file.read_bytes())
    except OSError as error:
        finding = Finding("EV601", f"cannot read the schema: {error.strerror}", file=shown)
        raise ConfigError(f"the schema {shown} cannot be read", [finding]) from None


def _parse(piece: Piece) -> Any:
    try:
        document = parse(piece.raw)
    except JsonProblem as error:
        finding = problem(piece, error)._replace(code="EV601")
        raise ConfigError(f"the schema {piece.file} is not well-formed JSON", [finding]) from None
    if isinstance(document, dict) and "openapi" in document:
        hint = "export it from the registry as JSONSchemaDraft4"
        where = place(Origin(piece), "/openapi", key=True)
        finding = Finding("EV602", "this is an OpenAPI document, not a JSON Schema", suggestion=hint, **where)
    elif not isinstance(document, dict | bool):
        finding = Finding("EV602", "a schema is a JSON object, true or false", **place(Origin(piece), ""))
    else:
        return document
    raise ConfigError(f"the schema {piece.file} cannot be used", [finding])


def _joined(base: str, reference: str) -> str:
    if reference.startswith("#"):
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _subschemas(text: Text) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every schema object of a document: its pointer, the URI that its references count from, and itself."""
    waiting: list[tuple[str, str, Any, bool]] = [("", text.uri, text.value, False)]
    while waiting:
        pointer, base, value, named = waiting.pop()
        if isinstance(value, list):
            waiting += [(f"{pointer}/{index}", base, each, False) for index, each in reversed(list(enumerate(value)))]
        if not isinstance(value, dict):
            continue
        if not named:
            identifier = value.get(text.id_keyword)
            if isinstance(identifier, str) and identifier[:1] != "#":
                base = _joined(base, identifier).removesuffix("#")
            yield pointer, base, value
        waiting += [
            (pointer + pointer_of([key]), base, each, not named and key in NAMED)
            for key, each in reversed(value.items())
            if named or key not in DATA
        ]


def _part(value: Any, pointer: str) -> Any:
    """What a JSON Pointer leads to, or None."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdecimal() and len(key) < 10 and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _unfollowed(text: Text, pointer: str, reason: str, hint: str | None = None) -> Finding:
    at = f"{pointer}/$ref"
    message = f'reference "{_part(text.value, at)[:100]}" {reason}'
    return Finding("EV603", message, suggestion=hint, **place(Origin(text.piece), at))


def _loops(leads: dict[tuple[str, str], Target], texts: dict[str, Text]) -> list[Finding]:
    """References that lead back to themselves without reading on in the event never end; the engine takes them."""
    findings = []
    done: set[tuple[str, str]] = set()
    for start in leads:
        path, at = [], start
        while at in leads and at not in done:
            done.add(at)
            path.append(at)
            at = (leads[at].text.uri, leads[at].pointer)
        if at in path:
            findings.append(_unfollowed(texts[at[0]], at[1], "leads back to itself"))
    return findings
