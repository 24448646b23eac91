"""Combines the options and the `intake` of routes.yaml that describe where payloads have their type and id.

For example, `intake: {stripe: {source: stripe.com, type-at: /type, id-at: /id}}` and `--intake stripe --source test`
give the source test, the type at /type and the id at /id: an option replaces the value of the intake.
"""

import re
from collections.abc import Sequence

from evtool.cli.session import Session
from evtool.errors import UsageError
from evtool.events.payload_identity import POINTER_PATTERN, PayloadIdentity, suggest_pointer
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.routes.project import Project
from evtool.routes.quick_check import is_certainly_valid


def read_identity(
    session: Session, project: Project | None, options: PayloadIdentity, intake: str | None, *, keep_type: bool = False
) -> PayloadIdentity:
    """Returns the identity of payloads: the values of the options, and for the others those of the named intake.

    `replay` sets `keep_type`: its --type selects events, and does not replace the `type-at` of the intake. Raises
    UsageError.
    """
    _check_pointer("--type-at", options.type_at)
    _check_pointer("--id-at", options.id_at)
    if options.type is not None and options.type_at is not None:
        raise UsageError("give --type or --type-at, not both")
    named = PayloadIdentity()
    if intake is not None:
        named = _read_intake(project or session.load_project(), intake)
    if options.type is not None and not (keep_type and named.type_at):
        event_type, type_at = options.type, options.type_at
    else:
        event_type, type_at = None, options.type_at or named.type_at
    identity = PayloadIdentity(event_type, options.source or named.source, type_at, options.id_at or named.id_at)
    if identity.id_at is not None and not identity.has_type:
        raise UsageError("the type of the payloads is not known: give --type TYPE or --type-at POINTER")
    return identity


def _check_pointer(option: str, pointer: str | None) -> None:
    if pointer is None or re.fullmatch(POINTER_PATTERN, pointer):
        return
    hint = suggest_pointer(pointer)
    message = f"{option} {pointer}: it is a JSON Pointer such as /id"
    if hint:
        message += f"; {hint}"
    raise UsageError(message)


def check_project(project: Project) -> Sequence[Finding]:
    """Returns the warnings about routes.yaml. Raises ConfigError with all its problems."""
    # The quick check takes a fraction of the time of loading the routes. If its answer is not certain, the routes are
    # loaded, which finds the problems and their locations.
    if is_certainly_valid(project):
        return ()
    # pydantic takes longer to import than the rest of `evtool validate` takes to run.
    from evtool.routes import routes  # noqa: PLC0415

    return routes.load_routes(project).warnings


def _read_intake(project: Project, name: str) -> PayloadIdentity:
    check_project(project)
    entries = project.document.value.get("intake") or {}
    if name not in entries:
        hint = "add one under `intake:`"
        if entries:
            hint = did_you_mean(name, entries) or f"its intakes are {', '.join(entries)}"
        raise UsageError(f"--intake {name}: {project.display_name} has no intake of this name; {hint}")
    entry = entries[name]
    return PayloadIdentity(None, entry["source"], entry.get("type-at"), entry.get("id-at"))
