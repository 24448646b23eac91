"""The command `evtool import`: reads the rules of a rule source into a routes.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from evtool.aws.account import Account, read_account
from evtool.aws.client import AwsSettings
from evtool.cli.options import Argument, AwsEndpoint, AwsProfile, AwsRegion, Option
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.commands.import_aws import SCHEMA_FOLDER, build_project, describe_rest, list_buses, write_schemas
from evtool.commands.import_routes import Imported, add_target_files, collect_routes, write_routes
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.interchange.detection import read_rule_source
from evtool.paths import display_path, is_folder
from evtool.reports.base import Record, Subject
from evtool.routes.project import ROUTES_FILE, Project, has_terraform, require_project
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen, format_count

AWS = "aws"


def import_(
    session: Session,
    source: Annotated[str, Argument("SOURCE", "a template, Terraform, serverless.yml or AWS CLI output; or aws, live")],
    *,
    to: Annotated[str | None, Option("--to", "file to write; default: routes.yaml of this folder", "FILE")] = None,
    merge: Annotated[bool, Option("--merge", "add to the file if it exists")] = False,
    targets: Annotated[
        list[str], Option("--targets", "output of `aws events list-targets-by-rule` for a rule", "RULE=FILE")
    ] = [],  # noqa: B006  (never changed)
    region: AwsRegion = None,
    endpoint: AwsEndpoint = None,
    profile: AwsProfile = None,
) -> int:
    """Read the rules of a rule source, such as a template, into a routes.yaml.

    A rule is a route, its targets are handlers of kind `external`. A rule with a condition that is not known before
    deployment is imported as `state: disabled`. With --merge the routes that the file does not have are added, and its
    other lines stay. `--routes-format` names the form of the source if it cannot be detected.

    `evtool import aws` reads the rules of all buses of an account, and writes the schemas of its registries, but those
    of AWS's own events, into the folder `schemas` beside the file.

    Example: evtool import template.yaml
    """
    file = Path(to or ROUTES_FILE).absolute()
    if file.exists() and not merge:
        raise UsageError(f"{display_path(file)} exists already: --merge adds to it, --to FILE writes another file")
    account = None
    if source == AWS:
        account = read_account(AwsSettings(region, endpoint, profile))
    if account:
        project = build_project(account)
    else:
        project = _read_source(source, session.routes_format)
    load_routes(session, project)
    imported = add_target_files(collect_routes(project, file.parent), targets)
    if account:
        imported = _add_account(imported, account, file)
    imported = write_routes(imported, file)
    session.show_warnings(imported.findings)
    subject = Subject("import", "routes", lambda screen: _ImportReport(screen, display_path(file), quiet=session.quiet))
    with session.open_report(subject) as report:
        for name, route in imported.routes.items():
            report.add({"name": name, "state": route.get("state", "enabled"), "to": route["to"]})
        report.end(_build_tail(imported))
    if any(finding.severity == "error" for finding in imported.findings):
        return EXIT_FINDINGS
    return EXIT_OK


def _read_source(source: str, form: str | None) -> Project:
    """The rules of a rule source. Of a folder with a routes.yaml and Terraform files, the Terraform files are read."""
    folder = Path(source).absolute()
    project = None
    if is_folder(folder) and has_terraform(folder):
        project = read_rule_source(folder, b"", form)
    if project is None:
        project = require_project(source, form=form)
    if not project.is_rule_source:
        raise UsageError(f"{project.display_name} is a routes.yaml already; import reads other rule sources")
    return project


def _add_account(imported: Imported, account: Account, file: Path) -> Imported:
    """The routes of an account with its buses, and its schemas, which are written into files."""
    schemas = write_schemas(account.schemas, file.parent / SCHEMA_FOLDER)
    if account.schemas:
        extra: dict[str, Any] = {"schemas": SCHEMA_FOLDER}
    else:
        extra = {}
    buses = list_buses(account)
    if buses:
        extra["buses"] = buses
    findings = (*imported.findings, *describe_rest(account), *schemas.findings)
    return imported._replace(findings=findings, extra=extra, schemas=tuple(schemas.written))


def _build_tail(imported: Imported) -> dict[str, Any]:
    disabled = sum(route.get("state") == "disabled" for route in imported.routes.values())
    summary = {
        "routes": len(imported.routes),
        "handlers": len(imported.handlers),
        "disabled": disabled,
        "kept": len(imported.kept),
        "schemas": len(imported.schemas),
    }
    return {"findings": [finding.as_dict() for finding in imported.findings], "summary": summary}


class _ImportReport:
    """The text report: the routes that were written, and the sums."""

    def __init__(self, screen: Screen, file: str, *, quiet: bool):
        self._screen, self._file, self._quiet = screen, file, quiet

    def add(self, record: Record) -> None:
        """Shows a route."""
        assert not isinstance(record, ValidationResult)
        if not self._quiet:
            state = ""
            if record["state"] == "disabled":
                state = "  disabled"
            self._screen.print_line((record["name"], "bold"), state, "  to ", ", ".join(record["to"]))

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the sums."""
        if self._quiet:
            return
        summary = tail["summary"]
        parts = [f"{format_count(summary['routes'], 'route')} imported into {self._file}"]
        if summary["schemas"]:
            parts.append(format_count(summary["schemas"], "schema"))
        parts += [f"{summary[key]:,} {text}" for key, text in _COUNTS.items() if summary[key]]
        self._screen.print_line(", ".join(parts))


_COUNTS = {"disabled": "disabled", "kept": "there already"}
