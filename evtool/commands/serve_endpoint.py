"""Runs the endpoint of `evtool serve`: opens its sockets and the project, and waits for a signal or delivers."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from socket import socket
from typing import NamedTuple

from evtool.cli.runtime import UndecidedNotes, build_rules, open_runtime
from evtool.cli.session import Session, create_event_defaults
from evtool.commands.deliver import deliver_and_report
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_OK, UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.routes.project import Project
from evtool.server.app import build_app
from evtool.server.context import Context, Settings
from evtool.server.http.address import Address, describe_token, is_loopback, parse_address, read_token
from evtool.server.http.runner import ServerThread, open_sockets
from evtool.server.log import Log
from evtool.server.writer import Writer
from evtool.store.store import Store


class EndpointOptions(NamedTuple):
    """The options of `evtool serve`."""

    listen: str
    delivers: bool
    validates: bool
    no_schema: str
    token_file: str | None
    workers: int


def run_endpoint(session: Session, options: EndpointOptions) -> int:
    """Serves until a signal arrives, which is raised. Raises UsageError if it cannot listen."""
    address = parse_address(options.listen)
    token = None
    if options.token_file is not None:
        token = read_token(options.token_file)
    project = session.load_project()
    rules = build_rules(project, no_schema=options.no_schema)
    with ExitStack() as at_exit:
        sockets = [at_exit.enter_context(opened) for opened in open_sockets(address.host, address.port)]
        # A name may resolve to several addresses, so that the opened sockets are checked, not the option.
        if token is None:
            _check_reach(address, sockets)
        runtime = at_exit.enter_context(open_runtime(session, project, rules))
        settings = Settings(token, options.validates, options.delivers, session.verbose > 0, frozenset({address.host}))
        server = at_exit.enter_context(_open_server(session, project, runtime, settings, sockets))
        # With port 0 the system chooses the port.
        shown = Address(address.host, sockets[0].getsockname()[1]).format()
        session.print_note(f"listening on http://{shown} (Ctrl-C ends it)")
        # A script may wait for this line before it sends events.
        sys.stderr.flush()
        if not options.delivers:
            server.wait()
            return EXIT_OK
        return deliver_and_report(session, project, runtime, workers=options.workers, idle=server.wait, command="serve")


def _check_reach(address: Address, sockets: Sequence[socket]) -> None:
    """Raises UsageError if other computers could reach a server without a token."""
    for opened in sockets:
        if not is_loopback(opened.getsockname()[0]):
            raise UsageError(
                f"--listen: {address.format()} can be reached from other computers, so --token-file is needed;"
                f" {describe_token()}"
            )


@contextmanager
def _open_server(
    session: Session, project: Project, runtime: Runtime, settings: Settings, sockets: Sequence[socket]
) -> Iterator[ServerThread]:
    """Runs the server inside the block. At the end it answers the requests that have arrived, then the writer ends."""
    undecided = UndecidedNotes(session, runtime.routes)

    def note_undecided(event: Event) -> None:
        undecided.add([(event.raw, event.bus or DEFAULT_BUS)])

    with (
        Log(session.print_error) as log,
        Writer(partial(Store, runtime.store.file)) as writer,
    ):
        context = Context(
            project,
            runtime.routes,
            runtime.environment.rules,
            create_event_defaults(),
            runtime.environment.now,
            runtime.store.file,
            writer,
            log,
            settings,
            note_undecided,
        )
        with ServerThread(build_app(context), sockets) as server:
            yield server
