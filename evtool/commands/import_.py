"""The command `evtool import`: writes the rules of a rule source into a routes.yaml."""

from collections.abc import Mapping
from functools import partial
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
from evtool.findings.finding import has_errors, list_finding_records
from evtool.interchange.detection import read_rule_source
from evtool.paths import display_path, is_folder
from evtool.reports.base import Report, Subject
from evtool.routes.project import ROUTES_FILE, Project, has_terraform, require_project
from evtool.terminal.screen import Screen, format_count

# As SOURCE it names the live account, not a file.
AWS = "aws"


def import_(
    session: Session,
    source: Annotated[
        str, Argument("SOURCE", "a template, Terraform, serverless.yml or AWS CLI output; `aws` for the live account")
    ],
    *,
    to: Annotated[str | None, Option("--to", "file to write; default: routes.yaml in this folder", "FILE")] = None,
    merge: Annotated[bool, Option("--merge", "add to the file if it exists")] = False,
    targets: Annotated[
        list[str], Option("--targets", "output of `aws events list-targets-by-rule` for a rule", "RULE=FILE")
    ] = [],  # noqa: B006  (never changed)
    region: AwsRegion = None,
    endpoint: AwsEndpoint = None,
    profile: AwsProfile = None,
) -> int:
    """Write the rules of a rule source, such as a template, into a routes.yaml.

    A rule becomes a route, and its targets become handlers of kind `external`. A rule with a condition that is not
    known before deployment becomes a route with `state: disabled`. --merge adds the routes that the file does not have,
    and does not change its other lines. --routes-format names the form of the source if it cannot be detected.

    `evtool import aws` reads the rules of all event buses of an account. It also writes the schemas of its registries,
    except those of AWS's own events, into the folder `schemas` next to the file.

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
    # This refuses a source whose patterns AWS would refuse, before anything is written.
    load_routes(session, project)
    imported = add_target_files(collect_routes(project, file.parent), targets)
    if account:
        imported = _add_account(imported, account, file)
    imported = write_routes(imported, file)
    session.show_warnings(imported.findings)
    _report_imported(session, imported, display_path(file))
    if has_errors(imported.findings):
        return EXIT_FINDINGS
    return EXIT_OK


def _read_source(source: str, form: str | None) -> Project:
    """Reads the rules of a rule source; in a folder with routes.yaml and Terraform files, those of Terraform."""
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
    """Adds the buses and schemas of an account to its routes. Writes the schemas into files."""
    schemas = write_schemas(account.schemas, file.parent / SCHEMA_FOLDER)
    extra: dict[str, Any] = {}
    if account.schemas:
        extra["schemas"] = SCHEMA_FOLDER
    buses = list_buses(account)
    if buses:
        extra["buses"] = buses
    findings = list(imported.findings) + describe_rest(account) + schemas.findings
    return imported._replace(findings=tuple(findings), extra=extra, schemas=tuple(schemas.written))


def _report_imported(session: Session, imported: Imported, file: str) -> None:
    subject = Subject("import", "routes", partial(_ImportReport, file=file, quiet=session.quiet))
    states = [route.get("state", "enabled") for route in imported.routes.values()]
    with session.open_report(subject) as report:
        for (name, route), state in zip(imported.routes.items(), states, strict=True):
            report.add_record({"name": name, "state": state, "to": route["to"]})
        summary = {
            "routes": len(imported.routes),
            "handlers": len(imported.handlers),
            "disabled": states.count("disabled"),
            "kept": len(imported.kept),
            "schemas": len(imported.schemas),
        }
        report.end({"findings": list_finding_records(imported.findings), "summary": summary})


class _ImportReport(Report):
    """The text report: the routes that were written, and the totals."""

    def __init__(self, screen: Screen, file: str, *, quiet: bool):
        self._screen, self._file, self._quiet = screen, file, quiet

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a route."""
        if not self._quiet:
            state = ""
            if record["state"] == "disabled":
                state = "  disabled"
            self._screen.print_line((record["name"], "bold"), state, "  to ", ", ".join(record["to"]))

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the totals."""
        if self._quiet:
            return
        summary = tail["summary"]
        parts = [f"{format_count(summary['routes'], 'route')} imported into {self._file}"]
        if summary["schemas"]:
            parts.append(format_count(summary["schemas"], "schema"))
        if summary["disabled"]:
            parts.append(f"{summary['disabled']:,} disabled")
        if summary["kept"]:
            parts.append(f"{summary['kept']:,} there already")
        self._screen.print_line(", ".join(parts))
