"""The part of `evtool import` that reads a live account: its rules, buses and archives, and its schemas into files."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evtool.aws.account import Account, Schema
from evtool.errors import UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.findings.finding import Finding
from evtool.interchange.detection import read_rule_source
from evtool.paths import display_path
from evtool.routes.project import Project

SCHEMA_FOLDER = "schemas"
SOURCE = Path("aws")  # how messages name the account


class SchemaFiles(NamedTuple):
    """The files of schemas that were written, and findings about those that were not."""

    written: list[str]
    findings: list[Finding]


def build_project(account: Account) -> Project:
    """The rules of an account as those of a rule source, in the form of the AWS CLI."""
    text = json.dumps({"Rules": account.rules}, default=str, indent=1)
    project = read_rule_source(SOURCE, text.encode(), "eventbridge")
    assert project is not None
    return project


def list_buses(account: Account) -> dict[str, dict[str, Any]]:
    """The buses of an account for `buses` of routes.yaml, which names them for --bus."""
    names = [str(bus["Name"]) for bus in account.buses]
    return {
        name: {"url": f"eventbridge://{name}?region={account.region}"}
        for name in names
        if name != DEFAULT_BUS and re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", name)
    }


def describe_rest(account: Account) -> list[Finding]:
    """Notes on what routes.yaml does not have: archives, and what could not be read."""
    notes = [
        f"the archive {archive.get('ArchiveName')} of {archive.get('EventSourceArn')} is not imported: "
        "`evtool replay` replays from the store"
        for archive in account.archives
    ]
    return [Finding("EV023", note, "note", file=str(SOURCE), line=1, column=1) for note in (*notes, *account.notes)]


def write_schemas(schemas: Sequence[Schema], folder: Path) -> SchemaFiles:
    """Writes each schema into the folder of its registry. A file that exists stays. Raises UsageError."""
    written: list[str] = []
    findings: list[Finding] = []
    for schema in schemas:
        file = folder / _make_file_name(schema.registry) / f"{_make_file_name(schema.name)}.json"
        name = display_path(file)
        text = _format_schema(schema.content)
        if file.exists():
            if file.read_text(encoding="utf-8", errors="replace") != text:
                message = f"{name} exists with other content; it stays as it is"
                findings.append(Finding("EV001", message, "warning", file=name, line=1, column=1))
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {name}: {error.strerror}") from None
        written.append(name)
    return SchemaFiles(written, findings)


def _make_file_name(name: str) -> str:
    """A name that cannot lead out of its folder."""
    return re.sub(r"[^\w.@-]+", "-", name).lstrip(".") or "schema"


def _format_schema(content: str) -> str:
    try:
        value: Mapping[str, Any] = json.loads(content)
    except ValueError:
        return content
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
