"""Combines the options and the `intake` of routes.yaml that say where payloads have their type and id."""

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
    """The identity of payloads: what the options say, and for the rest what the named intake says.

    With `keep_type` the option --type does not replace where the intake has its type. Raises UsageError.
    """
    for name, pointer in (("--type-at", options.type_at), ("--id-at", options.id_at)):
        if pointer is not None and not re.fullmatch(POINTER_PATTERN, pointer):
            hint = suggest_pointer(pointer)
            raise UsageError(f"{name} {pointer}: it is a JSON Pointer such as /id" + (f"; {hint}" if hint else ""))
    if options.type is not None and options.type_at is not None:
        raise UsageError("give --type or --type-at, not both")
    if intake is None:
        named = PayloadIdentity()
    else:
        named = _read_intake(project or session.load_project(), intake)
    is_typed = options.type is not None and not (keep_type and named.type_at)
    identity = PayloadIdentity(
        options.type if is_typed else None,
        options.source or named.source,
        options.type_at or (None if is_typed else named.type_at),
        options.id_at or named.id_at,
    )
    if identity.id_at is not None and not identity.has_type:
        raise UsageError("the type of the payloads is not known: give --type TYPE or --type-at POINTER")
    return identity


def check_project(project: Project) -> Sequence[Finding]:
    """The warnings about routes.yaml. Raises ConfigError with everything that is wrong with it.

    A quick check takes a fraction of the time of loading the routes. If it is not certain, the routes are loaded, which
    says what is wrong.
    """
    if is_certainly_valid(project):
        return ()
    from evtool.routes import routes  # noqa: PLC0415  (pydantic takes longer to import than the rest to run)

    return routes.load_routes(project).warnings


def _read_intake(project: Project, name: str) -> PayloadIdentity:
    check_project(project)
    entries = project.document.value.get("intake") or {}
    if name not in entries:
        hint = did_you_mean(name, entries) or (f"there are {', '.join(entries)}" if entries else "there is no intake")
        raise UsageError(f"--intake {name}: {project.display_name} has no intake of this name; {hint}")
    entry = entries[name]
    return PayloadIdentity(None, entry["source"], entry.get("type-at"), entry.get("id-at"))
