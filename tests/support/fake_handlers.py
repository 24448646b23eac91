"""Handlers that a test answers for, in place of those that routes.yaml names."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evtool.handlers.base import Answer, Call, HandlerOptions, Outcome
from evtool.routes.routes import HandlerEntry

Answers = Callable[[Call], Outcome]


class FakeHandler:
    """An open handler that takes one call at a time. `closed` gets the name of the thread that closes it."""

    def __init__(self, answer: Answers, closed: list[str] | None = None):
        self.answer, self.closed = answer, closed

    def __call__(self, call: Call) -> Outcome:
        return self.answer(call)

    def close(self) -> None:
        """Notes the closing thread, if the test wants to know it."""
        if self.closed is not None:
            self.closed.append(threading.current_thread().name)


class FakeBatchHandler(FakeHandler):
    """An open handler that takes many calls at once."""

    def call_many(self, calls: Sequence[Call], _latest: float, _call_log: object) -> Iterator[Answer]:
        """An answer for each call."""
        return (Answer(self.answer(call)) for call in calls)


class InProcessOptions(HandlerOptions):
    """Options of a handler that is called in the thread that gives it a batch."""

    @property
    def is_in_process(self) -> bool:
        return True


class FakeEntry(HandlerEntry):
    """A handler of routes.yaml that opens as the test says."""

    opener: Callable[[], Any]

    def open(self) -> Any:
        """The handler."""
        return self.opener()


def fake_entry(name: str, options: HandlerOptions, opener: Callable[[], Any]) -> FakeEntry:
    """The entry of a handler that `opener` opens."""
    entry = FakeEntry(name, "python", options, Path())
    entry.opener = opener
    return entry
