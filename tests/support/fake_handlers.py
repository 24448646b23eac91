"""Fake handlers, whose outcomes a test decides."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evtool.handlers.base import Answer, Call, HandlerOptions, Outcome
from evtool.routes.routes import HandlerEntry

Answers = Callable[[Call], Outcome]


class FakeHandler:
    """An open handler for one call at a time. The name of the thread that closes it is added to `closed`."""

    def __init__(self, answer: Answers, closed: list[str] | None = None):
        self.answer, self.closed = answer, closed

    def __call__(self, call: Call) -> Outcome:
        return self.answer(call)

    def close(self) -> None:
        """Adds the name of the closing thread to `closed`."""
        if self.closed is not None:
            self.closed.append(threading.current_thread().name)


class FakeBatchHandler(FakeHandler):
    """An open handler for many calls at once."""

    def call_many(self, calls: Sequence[Call], _latest: float, _call_log: object) -> Iterator[Answer]:
        """Yields an answer for each call."""
        return (Answer(self.answer(call)) for call in calls)


class InProcessOptions(HandlerOptions):
    """The options of a handler that is called in the thread of the pool."""

    @property
    def is_in_process(self) -> bool:
        return True


class FakeEntry(HandlerEntry):
    """A handler of routes.yaml that `opener` opens."""

    opener: Callable[[], Any]

    def open(self) -> Any:
        """Opens the handler."""
        return self.opener()


def fake_entry(name: str, options: HandlerOptions, opener: Callable[[], Any]) -> FakeEntry:
    """Builds the entry of a handler that `opener` opens."""
    entry = FakeEntry(name, "python", options, Path())
    entry.opener = opener
    return entry
