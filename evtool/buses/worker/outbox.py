"""The outbox of a worker: sends messages until the bus has confirmed each, and then says that a delivery is over."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from evtool.buses.base import Failure
from evtool.buses.worker.handover import VALUE, Outgoing, leave_value_out
from evtool.errors import UsageError

# Seconds until a message that the bus has not confirmed is sent again.
RESEND_DELAY = 0.5

Listener = Callable[[Failure | None], None]
Send = Callable[[Outgoing, Listener], None]
Refused = Callable[[str], None]


class _Group:
    """Messages that belong together: `on_confirmed` is called once all are confirmed, or `on_refused` once."""

    def __init__(self, count: int, on_confirmed: Callable[[], None], on_refused: Refused | None):
        self.unconfirmed, self.on_confirmed, self.on_refused = count, on_confirmed, on_refused
        self.refusal: str | None = None

    def settle_one(self) -> None:
        """One message is over. When all are, calls what is to be called."""
        self.unconfirmed -= 1
        if self.unconfirmed:
            return
        if self.refusal is not None and self.on_refused:
            self.on_refused(self.refusal)
        else:
            self.on_confirmed()


class Outbox:
    """The messages that a worker has sent and that are not confirmed."""

    def __init__(self, send: Send, monotonic: Callable[[], float] = time.monotonic):
        self._send, self._monotonic = send, monotonic
        self._again: deque[tuple[float, Outgoing, _Group]] = deque()
        self.unconfirmed = 0

    def send(
        self, messages: Sequence[Outgoing], on_confirmed: Callable[[], None], on_refused: Refused | None = None
    ) -> None:
        """Sends messages that belong together.

        `on_refused` is called with the reason if the bus will never take one of them. Without it, such a message is
        sent without its value: it is a dead letter, which must not be lost.
        """
        if not messages:
            on_confirmed()
            return
        group = _Group(len(messages), on_confirmed, on_refused)
        self.unconfirmed += len(messages)
        for message in messages:
            self._send(message, partial(self._take_report, message, group))

    def send_again(self) -> None:
        """Sends what was not confirmed, after a pause. The bus may have it nevertheless, and then has it twice."""
        now = self._monotonic()
        while self._again and self._again[0][0] <= now:
            _, message, group = self._again.popleft()
            self._send(message, partial(self._take_report, message, group))

    def _take_report(self, message: Outgoing, group: _Group, failure: Failure | None) -> None:
        if failure is None:
            self.unconfirmed -= 1
            group.settle_one()
        elif not failure.is_final:
            self._again.append((self._monotonic() + RESEND_DELAY, message, group))
        elif group.on_refused:
            group.refusal = str(failure)
            self.unconfirmed -= 1
            group.settle_one()
        elif any(name == VALUE for name, _ in message.headers):
            raise UsageError(f"the topic {message.topic} takes no dead letter: {failure}; nothing is committed")
        else:
            self._again.append((self._monotonic(), leave_value_out(message), group))
