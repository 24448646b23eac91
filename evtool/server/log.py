"""Prints the messages of the server in its own thread: a slow terminal or pipe does not delay requests."""

import queue
import threading
from collections.abc import Callable
from typing import Self

# The number of messages that wait. Further messages are counted, not kept.
MAX_WAITING = 1000


class Log:
    """Takes messages from any thread. The thread that prints them ends with the program, also with messages left."""

    def __init__(self, show: Callable[[str], None]):
        self._show = show
        self._messages: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._left_out = 0
        self._shown_once: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="evtool-log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits a moment for what is left."""
        try:
            self._messages.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(timeout=1)

    def add(self, message: str) -> None:
        """Prints a message soon."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            self._left_out += 1

    def add_once(self, message: str) -> None:
        """Prints a message soon, unless it was printed before. At most MAX_WAITING different ones are printed."""
        if message not in self._shown_once and len(self._shown_once) < MAX_WAITING:
            self._shown_once.add(message)
            self.add(message)

    def wait(self) -> None:
        """Waits until every message is printed that was added before."""
        self._messages.join()

    def _run(self) -> None:
        for message in iter(self._messages.get, None):
            self._show(message)
            self._messages.task_done()
            if self._left_out and self._messages.empty():
                left_out, self._left_out = self._left_out, 0
                self._show(f"{left_out} messages were left out: they came faster than they could be printed")
