"""Handlers of plugins: runs each piece of a plugin's code within a time limit, and checks its result."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from evtool.handlers.base import Call, Done, Failed, Handler, HandlerOptions, Outcome, Unavailable
from evtool.handlers.plugins.errors import PluginError, clean_text, describe_error, format_stack
from evtool.handlers.plugins.loading import LOAD_LIMIT, Plugin
from evtool.handlers.plugins.results import clean_outcome, find_excess, join_output
from evtool.handlers.plugins.secrets import Secrets
from evtool.handlers.plugins.thread import PluginThread, Ran
from evtool.handlers.processes.programs import UnsetVariableError

# Seconds after the time limit in which a handler can return its own outcome for it.
GRACE = 1.0

# Seconds to close a handler.
CLOSE_LIMIT = 2.0

METHODS = ("check", "close")


class BrokenHandler:
    """A handler whose plugin cannot be used: its deliveries wait."""

    def __init__(self, problem: str):
        self._problem = problem

    def __call__(self, call: Call) -> Outcome:  # noqa: ARG002
        return Unavailable(self._problem, "EV501")

    def check(self) -> Unavailable | None:
        """Returns why the plugin cannot be used."""
        return Unavailable(self._problem, "EV501")

    def close(self) -> None:
        """Does nothing, since there is nothing to close."""


class PluginHandler:
    """Opens the handler of a plugin when it is first needed, calls it, and closes it, all in one thread."""

    def __init__(self, plugin: Plugin, name: str, options: HandlerOptions, folder: Path):
        self._plugin = plugin
        self._options = options
        self._open = partial(_open, plugin, name, options, folder)
        self._handler: Handler | None = None
        self._secrets = Secrets(options)
        self._thread = PluginThread()
        self._is_closed = False

    def __call__(self, call: Call) -> Outcome:
        return self._secrets.hide(self._prepare() or self._call(call))

    def _call(self, call: Call) -> Outcome:
        assert self._handler
        handler, limit = self._handler, self._options.timeout
        try:
            ran = self._thread.run(partial(handler, call), limit + GRACE)
        except TimeoutError:
            explanation = f"{self._plugin.describe('goes on with it')} until evtool ends"
            return Failed(f"took longer than {limit:g}s (timeout); {explanation}", "timeout", self._thread.output)
        if isinstance(ran.error, UnsetVariableError):
            return self._fail("cannot be called", ran)
        if ran.error:
            error = f"{describe_error(ran.error)} ({self._plugin.describe('should not raise')})"
            return Failed(error, "crashed", join_output(ran.output, format_stack(ran.error)), code=_name(ran.error))
        return self._check_outcome(ran)

    def check(self) -> Unavailable | None:
        """Opens the handler, and asks it whether it can be called. Returns why not, or None."""
        failure = self._prepare() or self._check()
        if failure:
            return self._secrets.hide(failure)
        return None

    def _check(self) -> Unavailable | None:
        assert self._handler
        ran = self._run(self._handler.check)
        if ran.error:
            return self._fail("cannot be checked", ran)
        try:
            outcome = None
            if ran.value is not None:
                outcome = clean_outcome(ran.value, "")
        except ValueError as error:
            return self._fail("cannot be checked", Ran(None, PluginError(str(error))))
        if isinstance(outcome, Unavailable | None):
            return outcome
        problem = PluginError("it returned an outcome in place of Unavailable or None")
        return self._fail("cannot be checked", Ran(None, problem))

    def close(self) -> None:
        """Closes the handler. Abandons a handler that does not end, and ignores what it raises."""
        if self._handler and not self._is_closed and not self._thread.is_busy:
            self._run(self._handler.close, CLOSE_LIMIT)
        if not self._is_closed:
            self._thread.close()
        self._is_closed = True

    def _prepare(self) -> Unavailable | None:
        """Opens the handler if it is not open. Returns why it cannot be called now, or None."""
        if self._thread.is_busy:
            return Unavailable(self._plugin.describe("still runs a call that took too long"))
        if self._handler is None:
            ran = self._run(self._open)
            if ran.error:
                return self._fail("cannot be opened", ran)
            self._handler = ran.value
        return None

    def _run(self, work: Callable[[], Any], limit: float | None = None) -> Ran:
        limit = limit or LOAD_LIMIT
        try:
            return self._thread.run(work, limit)
        except TimeoutError:
            return Ran(None, PluginError(f"it took longer than {limit:g}s"))

    def _fail(self, problem: str, ran: Ran) -> Unavailable:
        assert ran.error
        output = ""
        if ran.output:
            output = f" ({clean_text(' '.join(ran.output.split()))})"
        code = "EV501"
        if isinstance(ran.error, UnsetVariableError):
            code = "EV503"
        return Unavailable(f"{self._plugin.describe(problem)}: {describe_error(ran.error)}{output}", code)

    def _check_outcome(self, ran: Ran) -> Outcome:
        """Returns the outcome that a call returned, or a failure that describes its problem."""
        try:
            outcome = clean_outcome(ran.value, ran.output)
        except ValueError as error:
            problem = f"{self._plugin.describe('broke its contract')}: {error}"
            return Failed(clean_text(problem), "bad-result", join_output(ran.output, ""), final=True)
        if isinstance(outcome, Done):
            excess = find_excess(outcome, self._options)
            if excess:
                return Failed(excess, "bad-result", outcome.output, final=True)
        return outcome


def _open(plugin: Plugin, name: str, options: HandlerOptions, folder: Path) -> Handler:
    assert plugin.kind
    handler: Any = plugin.kind.open(name, options, folder.absolute())
    for method in METHODS:
        if not callable(getattr(handler, method, None)):
            raise PluginError(f"the handler that it returned has no method {method}")
    if not callable(handler):
        raise PluginError("the handler that it returned cannot be called")
    return handler  # type: ignore[no-any-return]


def _name(error: BaseException) -> str:
    return clean_text(type(error).__name__)
