"""Signals: a request to end evtool is heeded, but never in the middle of starting a process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """Somebody asked evtool to end, by a signal: what is under way is left as Ctrl-C leaves it."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def heed() -> None:
    """Has signals that would end the process at once raise Ended, unless the caller had them ignored, as nohup does.

    A caller that had SIGCHLD ignored is not followed: every process would seem to have ended well.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def end(number: int, _: object) -> None:
        raise Ended(number)

    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


@contextmanager
def deferred() -> Iterator[None]:
    """Signals that come inside are heeded at the end of it: what is started there can be ended then."""
    came: list[tuple[int, Any]] = []
    usual = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    try:
        for number in usual:
            signal.signal(number, lambda *arguments: came.append(arguments))
    except ValueError:  # not the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for arguments in came:
            usual[signal.Signals(arguments[0])](*arguments)
