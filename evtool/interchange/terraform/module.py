"""Reads all Terraform files of a folder as one module, with the modules that it calls in other folders.

A module gets the arguments of its call that are literals, and the defaults of the variables that the call leaves out.
What only a deployment decides stays unknown: other arguments, and all variables of the first module.
"""

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from evtool.interchange.base import Rule, Source, as_list, as_mapping, get_block
from evtool.interchange.terraform.configuration import list_resources, note_module
from evtool.interchange.terraform.expressions import EXPRESSION
from evtool.interchange.terraform.named_values import find_named_values
from evtool.interchange.terraform.rules import join_rules
from evtool.interchange.texts.hcl import load_hcl
from evtool.interchange.texts.located_json import load_json
from evtool.interchange.texts.substitution import Substitution
from evtool.interchange.translation import translate
from evtool.paths import display_path, is_folder
from evtool.routes.project_file import LocatedDocument, Project, read_file, unify_line_ends

# The depth of modules that call modules. A module may call itself through others.
MAX_DEPTH = 8
# Terraform itself reads these arguments. The module does not get them.
_META_ARGUMENTS = ("source", "version", "providers", "count", "for_each", "depends_on")


class _Call(NamedTuple):
    """A called module: its folder, its address, its known variables, and the variables that the call sets."""

    folder: Path
    address: str = ""
    variables: Mapping[str, Any] = {}
    depth: int = 0


def read_modules(folder: Path) -> list[tuple[Path, Project]]:
    """Returns the files of a folder and of the modules that it calls, each with its project.

    Raises ConfigError for files that are not well-formed, UsageError if the package that parses them is missing.
    """
    return list(_read_module(_Call(folder)))


def find_common_folder(files: list[tuple[Path, Project]]) -> Path:
    """Returns the folder that has all files."""
    return Path(os.path.commonpath([file.parent for file, _ in files]))


def _read_module(call: _Call) -> Iterator[tuple[Path, Project]]:
    sources = list(_read_sources(call.folder))
    documents = [source.document.value for _, source in sources]
    values = find_named_values(documents, {**_list_defaults(documents, call), **call.variables})
    resources = [list(list_resources(document, values, call.address)) for document in documents]
    for (file, source), own in zip(sources, resources, strict=True):
        called: list[_Call] = []
        notes: list[Rule] = []
        for label, body in as_mapping(as_mapping(source.document.value).get("module")).items():
            inner = _find_call(call, label, get_block(body), values)
            if inner:
                called.append(inner)
            else:
                notes.append(note_module(label, body))
        rules = join_rules(chain.from_iterable(resources), own)
        yield file, translate(source, chain(rules, notes), file, "terraform")
        for inner in called:
            yield from _read_module(inner)


def _read_sources(folder: Path) -> Iterator[tuple[Path, Source]]:
    for file in sorted(chain(folder.glob("*.tf"), folder.glob("*.tf.json"))):
        name, text = display_path(file), unify_line_ends(read_file(file))
        if file.suffix == ".json":
            document: LocatedDocument = load_json(text, name)
        else:
            document = load_hcl(text, name)
        yield file, Source(name, text, document)


def _find_call(caller: _Call, label: str, arguments: Mapping[str, Any], values: Substitution) -> _Call | None:
    """Returns the module of a call, if its source is a folder of this machine."""
    source = arguments.get("source")
    if not isinstance(source, str) or not source.startswith(("./", "../")) or caller.depth == MAX_DEPTH:
        return None
    folder = Path(os.path.normpath(caller.folder / source))
    if not is_folder(folder):
        return None
    variables: dict[str, Any] = {}
    for name, argument in arguments.items():
        if name in _META_ARGUMENTS:
            continue
        value = values.substitute(argument)
        # A variable that is not known leads to itself, so that messages name it.
        if not _is_literal(value):
            value = f"${{var.{name}}}"
        variables[name] = value
    if caller.address:
        address = f"{caller.address}.module.{label}"
    else:
        address = f"module.{label}"
    return _Call(folder, address, variables, caller.depth + 1)


def _list_defaults(documents: list[Any], call: _Call) -> dict[str, Any]:
    """Returns the defaults of variables, which count if no one outside of the configuration can give others."""
    if not call.depth:
        return {}
    defaults: dict[str, Any] = {}
    for document in documents:
        for name, body in as_mapping(as_mapping(document).get("variable")).items():
            default = get_block(body).get("default")
            if default is not None and _is_literal(default):
                defaults[name] = default
    return defaults


def _is_literal(value: Any) -> bool:
    if isinstance(value, str):
        return not EXPRESSION.search(value)
    if isinstance(value, Mapping):
        return all(map(_is_literal, value.values()))
    return all(map(_is_literal, as_list(value)))
