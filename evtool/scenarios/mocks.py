"""Opens the handlers of a scenario: mocks where it has them, else the real ones; counts their attempts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from evtool.handlers.base import Call, Done, Emitted, Failed, Handler, Outcome, Unavailable
from evtool.routes.routes import HandlerEntry
from evtool.scenarios.model import MockModel


class Mock(NamedTuple):
    """A mock and the events that it emits when it is done."""

    model: MockModel
    emitted: tuple[Emitted, ...] = ()


class CallRecord:
    """The calls of all handlers in a scenario: attempts, looks at a handler that was not available, load failures."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.load_failures: dict[str, Unavailable] = {}
        self.emitted: set[tuple[str, str]] = set()  # handler and type

    def add(self, handler: str, outcome: Outcome) -> None:
        """Counts a call. A handler that was not available was not attempted."""
        self.attempts[handler] += not isinstance(outcome, Unavailable)
        if isinstance(outcome, Unavailable) and outcome.code:
            self.load_failures[handler] = outcome
        if isinstance(outcome, Done):
            self.emitted |= {(handler, event.type) for event in outcome.emitted}

    @property
    def called(self) -> frozenset[str]:
        """The handlers that were called, for real or as a mock."""
        return frozenset(self.calls)


class _MockHandler:
    """Does what a mock says."""

    def __init__(self, name: str, mock: Mock, record: CallRecord):
        self._name, self._mock, self._record = name, mock, record

    def __call__(self, call: Call) -> Outcome:  # noqa: ARG002  (the contract of all handlers)
        model = self._mock.model
        if not model.times or self._record.calls[self._name] <= model.times:
            if model.fail:
                return Failed(model.fail)
            if model.unavailable:
                return Unavailable(model.unavailable)
        return Done(self._mock.emitted)

    def check(self) -> None:
        """A mock is always there."""

    def close(self) -> None:
        """Nothing stays open."""


class _RecordedHandler:
    """Passes calls on and counts them. A handler that cannot be loaded is not called again: waiting would not help."""

    def __init__(self, name: str, handler: Handler, record: CallRecord):
        self._name, self._handler, self._record = name, handler, record

    def __call__(self, call: Call) -> Outcome:
        failure = self._record.load_failures.get(self._name)
        if failure:
            return Failed(failure.reason, final=True)
        self._record.calls[self._name] += 1
        outcome = self._handler(call)
        self._record.add(self._name, outcome)
        failure = self._record.load_failures.get(self._name)
        if failure:
            return Failed(failure.reason, final=True)
        return outcome

    def check(self) -> Unavailable | None:
        return self._handler.check()

    def take_lost(self) -> list[Any]:
        take_lost = getattr(self._handler, "take_lost", list)
        lost: list[Any] = take_lost()
        return lost

    def close(self) -> None:
        self._handler.close()


def open_handler(entry: HandlerEntry, mocks: Mapping[str, Mock], record: CallRecord) -> Handler:
    """The handler that a scenario calls under a name: its mock, or the real one."""
    mock = mocks.get(entry.name)
    if mock:
        handler: Handler = _MockHandler(entry.name, mock, record)
    else:
        handler = entry.open()
    return _RecordedHandler(entry.name, handler, record)
