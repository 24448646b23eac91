"""Detects from its content which form of rule source a file has, and translates it into a project."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.findings.phrases import list_some
from evtool.interchange.base import Source
from evtool.interchange.merge import merge
from evtool.interchange.registry import FORMS
from evtool.interchange.terraform.configuration import BLOCKS
from evtool.interchange.terraform.module import find_common_folder, read_modules
from evtool.interchange.texts.hcl import load_hcl
from evtool.interchange.texts.located_json import load_json
from evtool.interchange.texts.template_yaml import CloudFormationReader, TemplateReader
from evtool.interchange.translation import translate
from evtool.paths import display_path, is_folder
from evtool.readers.yaml_text import Document, load_yaml
from evtool.routes.project_file import ROUTES_FILE, LocatedDocument, Project, unify_line_ends

TERRAFORM_SUFFIX = ".tf"
MAX_KEYS = 5  # of an unknown document that a message lists
_ROUTES_KEY = re.compile(rb"^(version|handlers|routes)[ \t]*:", re.MULTILINE)
_RESOURCES = re.compile(rb"^(AWSTemplateFormatVersion|Resources)\s*:", re.MULTILINE)  # of CloudFormation
_HCL_BLOCK = re.compile(rb"^(" + "|".join(sorted(BLOCKS)).encode() + rb")\b[^=:\n]*\{", re.MULTILINE)


def read_rule_source(file: Path, raw: bytes, form: str | None) -> Project | None:
    """Returns the project of a rule source; None if the file is a routes.yaml, well-formed or not.

    Raises ConfigError if the file is not well-formed, has none of the forms, or has a rule that cannot be a route;
    UsageError if the package that reads it is missing.
    """
    if is_folder(file):
        return _read_folder(file)
    name, text = display_path(file), unify_line_ends(raw)
    may_be_routes = form is None and (file.name == ROUTES_FILE or _ROUTES_KEY.search(raw) is not None)
    try:
        document, language = _parse(text, name)
    except ConfigError as error:
        if may_be_routes:
            return None
        raise ConfigError(f"{error}. {_describe_forms()}", error.findings) from None
    if form is None and name.endswith(TERRAFORM_SUFFIX) and not document.value:
        form = "terraform"  # a file with comments only
    form = form or next((key for key, entry in FORMS.items() if entry.recognizes(document.value)), None)
    if form is None:
        if may_be_routes or (isinstance(document.value, Mapping) and document.value.keys() & {"routes", "handlers"}):
            return None
        raise ConfigError(_describe_unknown(name, document.value, language), _list_findings(name, document.value))
    source = Source(name, text, document)
    return _add_note(translate(source, FORMS[form].read_rules(source), file, form))


def _read_folder(folder: Path) -> Project:
    """Returns the project of all Terraform files of a folder: a target may be in another file than its rule."""
    files = read_modules(folder)
    if not files:
        raise UsageError(f"{display_path(folder)} has no {ROUTES_FILE} and no Terraform files (*.tf, *.tf.json)")
    empty = Project(folder, Document({"version": 1}), form="terraform")
    merged = merge(empty, [project for _, project in files])
    return _add_note(merged._replace(file=files[0][0], source_folder=find_common_folder(files)))


def _add_note(project: Project) -> Project:
    """Returns the project, with a note if it has no routes."""
    if project.document.value["routes"]:
        return project
    name, title = project.display_name, FORMS[project.form].title
    message = f"no rules with an event pattern found in {name}, {title}"
    return project._replace(gaps=(Finding("EV023", message, "note", file=name, line=1, column=1), *project.gaps))


def _parse(text: bytes, name: str) -> tuple[LocatedDocument, str]:
    """Returns the content of a file, and the name of its language."""
    if name.endswith(TERRAFORM_SUFFIX) or (_HCL_BLOCK.search(text) and not text.lstrip().startswith((b"{", b"["))):
        return load_hcl(text, name), "Terraform's language"
    if text.lstrip(b"\xef\xbb\xbf \t\n")[:1] in (b"{", b"["):
        return load_json(text, name), "JSON"
    return load_yaml(text, name, CloudFormationReader if _RESOURCES.search(text) else TemplateReader), "YAML"


def _describe_unknown(name: str, value: Any, language: str) -> str:
    """Describes a file that has none of the forms, and lists the forms."""
    if isinstance(value, Mapping):
        keys = [f'"{key}"' for key in value]
        content = "without content"
        if keys:
            content = f"with the keys {list_some(keys, MAX_KEYS)}"
    else:
        content = "with a single value"
        if isinstance(value, list):
            content = "with a list"
    return f"{name} has no rules in a form that evtool reads: it is {language} {content}. {_describe_forms()}"


def _list_findings(name: str, value: Any) -> list[Finding]:
    """Returns the finding for a routes.yaml that is not a mapping."""
    if isinstance(value, Mapping) or Path(name).name != ROUTES_FILE:
        return []
    return [Finding("EV022", "routes.yaml is a mapping: version, handlers, routes", file=name, line=1, column=1)]


def _describe_forms() -> str:
    forms = [f"{entry.title} ({name})" for name, entry in FORMS.items()]
    return f"evtool reads rules from {', '.join(['routes.yaml (routes)', *forms])}; --routes-format names the form"
