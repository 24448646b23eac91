# Ignores all signals that can be ignored.
# python: {outcome: done}
# command: {outcome: done}

import signal
from contextlib import suppress


def handle(event, context):
    for number in signal.valid_signals():
        with suppress(OSError):
            signal.signal(number, signal.SIG_IGN)
