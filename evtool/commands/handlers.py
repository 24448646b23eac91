"""The command `evtool handlers`: lists the handlers of the project, and whether each can be called."""

from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any

from evtool.cli.options import Option
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_OK
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.handlers.base import Unavailable
from evtool.handlers.plugins.kinds import describe_refused_plugins, find_package
from evtool.reports.base import Report, Subject
from evtool.routes.project import Project
from evtool.routes.routes import HandlerEntry
from evtool.store.counts import LastCall, list_last_calls
from evtool.store.store import Store
from evtool.terminal.screen import Screen, format_count
from evtool.terminal.styles import HANDLER_STYLES


def handlers(
    session: Session,
    *,
    connect: Annotated[bool, Option("--connect", "open a connection to each http handler; send nothing")] = False,
) -> int:
    """List the handlers of the project: kind, state, the types that each emits, and the result of its last call.

    A handler is ready, missing (it cannot be loaded), unreachable (a service that it needs is down) or external
    (evtool never calls it). Python modules and Lambda functions are loaded, but no handler is called.

    Example: evtool handlers
    """
    project = session.load_project()
    routes = load_routes(session, project)
    section = project.locate(("handlers",), key=True)
    last_calls = _load_last_calls(session, project)
    session.show_warnings(
        Finding("EV506", problem, "warning", **section) for problem in describe_refused_plugins().values()
    )
    with session.open_report(Subject("handlers", "handlers", _HandlerReport)) as report:
        counts = dict.fromkeys(("ready", "missing", "unreachable", "external"), 0)
        for entry in routes.handlers.values():
            external_reason = project.external_reasons.get(entry.name)
            record = _build_record(entry, last_calls.get(entry.name), external_reason, connect=connect)
            counts[record["state"]] += 1
            report.add_record(record)
        report.end({"summary": {"handlers": len(routes.handlers), **counts}})
    return EXIT_OK


def _load_last_calls(session: Session, project: Project) -> Mapping[str, LastCall]:
    """Returns the last call of each handler; an empty table before the project has a store."""
    file = session.locate_store(project)
    if not file.exists():
        return {}
    with Store(file, writing=False) as store:
        return list_last_calls(store)


def _build_record(
    entry: HandlerEntry, last: LastCall | None, external_reason: str | None, *, connect: bool
) -> dict[str, Any]:
    if entry.is_external:
        state, reason = "external", external_reason
    else:
        state, reason = _load(entry, connect=connect)
    return {
        "name": entry.name,
        "kind": entry.kind,
        "package": find_package(entry.kind),
        "state": state,
        "reason": reason,
        "emits": list(entry.options.emits),
        "last": last and _describe_call(last),
    }


def _load(entry: HandlerEntry, *, connect: bool) -> tuple[str, str | None]:
    """Loads a handler, and returns its state and the reason if it is not ready."""
    with closing(entry.open()) as handler:
        check = handler.check
        # Only some kinds, such as http, have a server to connect to.
        if connect:
            check = getattr(handler, "connect", handler.check)
        failure: Unavailable | None = check()
    if failure is None:
        return "ready", None
    # A mistake in the project has a finding code; a server that is down has none.
    if failure.code:
        return "missing", failure.reason
    return "unreachable", failure.reason


def _describe_call(call: LastCall) -> dict[str, Any]:
    return {
        "event": call.event,
        "type": call.type,
        "started": format_timestamp(call.started),
        "duration_ms": call.duration_ms,
        "outcome": call.outcome,
        "error": call.error,
    }


class _HandlerReport(Report):
    """The text report: a line for each handler, with its reason and its last call below."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add_record(self, record: Mapping[str, Any]) -> None:
        emits = ""
        if record["emits"]:
            emits = f"  emits {', '.join(record['emits'])}"
        state = (record["state"], HANDLER_STYLES[record["state"]])
        package = ""
        if record["package"]:
            package = f" ({record['package']})"
        self._screen.print_line((record["name"], "bold"), f"  {record['kind']}{package}  ", state, emits)
        if record["reason"]:
            self._screen.print_line(f"    {record['reason']}")
        last = record["last"]
        if last:
            duration = ""
            if last["duration_ms"] is not None:
                duration = f" in {last['duration_ms']:,} ms"
            error = ""
            if last["error"]:
                error = f": {last['error']}"
            outcome = last["outcome"] or "not ended"
            self._screen.print_line(f"    last  {last['started']}  {last['type']}  {outcome}{duration}{error}")

    def end(self, tail: Mapping[str, Any]) -> None:
        summary = dict(tail["summary"])
        counts = [format_count(summary.pop("handlers"), "handler")]
        counts += [f"{count} {state}" for state, count in summary.items() if count]
        self._screen.print_line(", ".join(counts))
