"""The command `evtool replay`: routes stored events again, and shows which handlers fire.

    replay                   plans: nothing is called, the store is only read
    replay --deliver         delivers: as `publish`, but under the name of the replay
    replay --against BASE    compares two versions of the routes (replay_against.py)
    replay --from kafka://   if only counts are reported, counts them in a faster way (replay_counting.py)

All of them read the same events: replay_events.py.
"""

import uuid
from typing import Annotated

from evtool.cli.filters import build_filter, read_pattern
from evtool.cli.options import (
    AllowEmpty,
    Argument,
    EventBus,
    IdAt,
    Intake,
    Limit,
    MaxBytes,
    OfPattern,
    OfRoute,
    OfSource,
    OfType,
    Option,
    Since,
    TypeAt,
    Until,
    Unwrap,
)
from evtool.cli.payload_identity import read_identity
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session, now_ms
from evtool.commands.replay_against import Comparison, FailOn, check_options, run_comparison
from evtool.commands.replay_counting import can_count, count_plan
from evtool.commands.replay_events import InputOptions, ReplayInput
from evtool.commands.replay_run import Request, open_to_read, run_replay
from evtool.delivery.replays.plan import make_planner
from evtool.errors import UsageError
from evtool.events.payload_identity import PayloadIdentity
from evtool.events.timestamps import format_timestamp
from evtool.patterns.pattern import Pattern
from evtool.readers.files import MAX_BYTES
from evtool.routes.comparison.base import RouteTable, open_base
from evtool.routes.project import Project


def replay(
    session: Session,
    ids: Annotated[
        list[str], Argument("[ID]...", "ids of the events to replay; default: all events that the options select")
    ] = [],  # noqa: B006
    *,
    deliver: Annotated[bool, Option("--deliver", "call the handlers, except those with `on_replay: skip`")] = False,
    name: Annotated[str | None, Option("--name", "name of a replay that delivers", "NAME")] = None,
    since: Since = None,
    until: Until = None,
    type: OfType = None,  # noqa: A002
    source: OfSource = None,
    route: OfRoute = None,
    pattern: OfPattern = None,
    limit: Limit = None,
    from_: Annotated[
        list[str], Option("--from", "read events from files or buses instead of the store", "PATH|URL")
    ] = [],  # noqa: B006
    type_at: TypeAt = None,
    id_at: IdAt = None,
    intake: Intake = None,
    event_bus: EventBus = None,
    unwrap: Unwrap = False,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
    against: Annotated[
        str | None,
        Option(
            "--against",
            "compare with the routes of another file or git revision: lost and gained deliveries",
            "FILE|git:REV",
        ),
    ] = None,
    generate: Annotated[
        int | None,
        Option("--generate", "with --against: use N events at the boundaries of the patterns", "N", least=1),
    ] = None,
    fail_on: Annotated[
        FailOn | None, Option("--fail-on", "with --against: exit code 1 for lost, gained or any deliveries", "CHANGE")
    ] = None,
) -> int:
    """Route stored events again, and show which handlers fire.

    By default it calls no handler. It shows what fired when each event was published, and what would fire now. -v
    lists each event, and why other routes do not match. With --deliver it calls the handlers. The events that they
    emit carry the name of the replay, and -v also shows what the handlers printed. Exit code 1 if a delivery failed,
    or if a handler cannot be loaded. With --against it calls no handler, and shows which deliveries the current routes
    lose and gain, and why.

    Example: evtool replay --type order.created --since 2h -v
    """
    check_options(against, deliver=deliver, name=name, generate=generate, fail_on=fail_on, has_files=bool(from_))
    if event_bus is not None and not from_:
        raise UsageError("--event-bus is for the events of --from: a stored event keeps its bus")
    project = session.load_project()
    routes = load_routes(session, project)
    event_pattern = None
    if pattern is not None:
        event_pattern = read_pattern(pattern)
    event_filter = build_filter(ids, since=since, until=until, type=type, source=source)
    # Events that a replay stored repeat other events: they are replayed only if the user names them.
    if not ids:
        event_filter = event_filter._replace(published=True)
    identity = _read_identity(session, project, from_, PayloadIdentity(type, source, type_at, id_at), intake)
    options = InputOptions(from_, identity, event_bus, unwrap, max_bytes, allow_empty)
    replay_input = ReplayInput(session, project, event_filter, options)
    if against is not None:
        with open_base(against, project) as base:
            comparison = Comparison(RouteTable(routes, project), base, against, route, limit, fail_on)
            return _compare(session, project, comparison, replay_input, event_pattern, generate)
    name = name or f"replay-{format_timestamp(now_ms())}-{uuid.uuid4().hex[:4]}"
    request = Request(name, route, event_pattern, limit, deliver)
    is_unrestricted = request == Request(name) and not replay_input.paths
    if is_unrestricted and can_count(session, project, routes, replay_input.buses):
        plan = make_planner(routes, name)
        return count_plan(session, project, routes, plan, replay_input.buses, event_filter, event_bus)
    return run_replay(session, project, routes, replay_input, event_filter, request)


def _read_identity(
    session: Session, project: Project, from_: list[str], options: PayloadIdentity, intake: str | None
) -> PayloadIdentity:
    """Returns how payloads are identified. Raises UsageError if the options need --from and it is missing."""
    if options.type_at is None and options.id_at is None and intake is None:
        # --type and --source select events here; they do not describe payloads.
        return PayloadIdentity()
    if not from_:
        raise UsageError("--type-at, --id-at and --intake describe the payloads of files: give --from PATH")
    if options.type_at:
        options = options._replace(type=None)
    return read_identity(session, project, options, intake, keep_type=True)


def _compare(
    session: Session,
    project: Project,
    comparison: Comparison,
    replay_input: ReplayInput,
    pattern: Pattern | None,
    generate: int | None,
) -> int:
    """Compares two versions of the routes, and returns the exit code."""
    if generate is not None:
        return run_comparison(session, comparison, comparison.generate(generate), pattern)
    with open_to_read(session, project, store_needed=replay_input.is_store) as store:
        if replay_input.is_store:
            events = replay_input.read(store)
        else:
            # What fired in the past does not matter here, so that these events need not be found in the store.
            events = replay_input.read(None)
        exit_code = run_comparison(session, comparison, events, pattern)
        return replay_input.inputs.worst_exit_code(exit_code)
