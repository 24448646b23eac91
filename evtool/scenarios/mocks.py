"""Opens the handlers of a scenario, mocks where it has them and else the real ones, and counts their attempts."""

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
    """The calls of all handlers in a scenario, what they emitted, and the handlers that cannot be loaded.

    A call of a handler that is not available counts as a call, but not as an attempt, as in a store.
    """

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.load_failures: dict[str, Unavailable] = {}
        # Pairs of a handler and a type.
        self.emitted: set[tuple[str, str]] = set()

    def add(self, handler: str, outcome: Outcome) -> None:
        """Counts a call. A handler that was not available was not attempted."""
        if not isinstance(outcome, Unavailable):
            self.attempts[handler] += 1
        elif outcome.code:
            self.load_failures[handler] = outcome
        if isinstance(outcome, Done):
            for event in outcome.emitted:
                self.emitted.add((handler, event.type))

    @property
    def called(self) -> frozenset[str]:
        """The handlers that were called, for real or as a mock."""
        return frozenset(self.calls)


class _MockHandler:
    """A handler that does what a mock says."""

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
        """Does nothing: a mock can always be called."""

    def close(self) -> None:
        """Does nothing: a mock holds no resources."""


class _RecordedHandler:
    """Passes calls on and counts them. A handler that cannot be loaded is not called again."""

    def __init__(self, name: str, handler: Handler, record: CallRecord):
        self._name, self._handler, self._record = name, handler, record

    def __call__(self, call: Call) -> Outcome:
        if self._name in self._record.load_failures:
            return self._give_up()
        self._record.calls[self._name] += 1
        outcome = self._handler(call)
        self._record.add(self._name, outcome)
        if self._name in self._record.load_failures:
            return self._give_up()
        return outcome

    def _give_up(self) -> Failed:
        # `publish` keeps such a delivery waiting, since the project may be repaired. The clock of a scenario would jump
        # from one look at the handler to the next until the delivery is too old.
        return Failed(self._record.load_failures[self._name].reason, final=True)

    def check(self) -> Unavailable | None:
        return self._handler.check()

    def take_lost(self) -> list[Any]:
        take_lost = getattr(self._handler, "take_lost", list)
        lost: list[Any] = take_lost()
        return lost

    def close(self) -> None:
        self._handler.close()


def open_handler(entry: HandlerEntry, mocks: Mapping[str, Mock], record: CallRecord) -> Handler:
    """Opens the handler that a scenario calls under a name: its mock, or the real one."""
    mock = mocks.get(entry.name)
    if mock:
        handler: Handler = _MockHandler(entry.name, mock, record)
    else:
        handler = entry.open()
    return _RecordedHandler(entry.name, handler, record)
