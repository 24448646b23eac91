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
# Messages name the account like a file.
SOURCE = Path("aws")


class SchemaFiles(NamedTuple):
    """The schema files that were written, and findings about schemas that were not written."""

    written: list[str]
    findings: list[Finding]


def build_project(account: Account) -> Project:
    """Returns the rules of an account as a rule source, in the form of the AWS CLI."""
    # `default=str` is for the dates in the answers of AWS; no rule needs them.
    text = json.dumps({"Rules": account.rules}, default=str, indent=1)
    project = read_rule_source(SOURCE, text.encode(), "eventbridge")
    assert project is not None
    return project


def list_buses(account: Account) -> dict[str, dict[str, Any]]:
    """Returns the buses of an account for `buses` of routes.yaml, so that --bus can name them."""
    buses = {}
    for bus in account.buses:
        name = str(bus["Name"])
        # The buses of AWS's partners have a `/` in their names, and nobody may send events to them.
        if name != DEFAULT_BUS and re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", name):
            buses[name] = {"url": f"eventbridge://{name}?region={account.region}"}
    return buses


def describe_rest(account: Account) -> list[Finding]:
    """Returns notes on archives, which routes.yaml does not have, and on parts that could not be read."""
    notes = []
    for archive in account.archives:
        archive_name = f"the archive {archive.get('ArchiveName')} of {archive.get('EventSourceArn')}"
        notes.append(f"{archive_name} is not imported: `evtool replay` replays from the store")
    notes += account.notes
    return [Finding("EV023", note, "note", file=str(SOURCE), line=1, column=1) for note in notes]


def write_schemas(schemas: Sequence[Schema], folder: Path) -> SchemaFiles:
    """Writes each schema into the folder of its registry. A file that exists stays. Raises UsageError."""
    written: list[str] = []
    findings: list[Finding] = []
    for schema in schemas:
        file = folder / _make_file_name(schema.registry) / f"{_make_file_name(schema.name)}.json"
        name = display_path(file)
        text = _format_schema(schema.content)
        # A second import must not overwrite what the user has changed in a schema.
        if file.exists():
            if file.read_text(encoding="utf-8", errors="replace") != text:
                message = f"{name} exists with other content and was not changed"
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
    """Returns a file name that cannot lead out of its folder."""
    return re.sub(r"[^\w.@-]+", "-", name).lstrip(".") or "schema"


def _format_schema(content: str) -> str:
    try:
        value: Mapping[str, Any] = json.loads(content)
    except ValueError:
        return content
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
