# Waits in a system call that no Python code can interrupt, with all signals blocked.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import os
import signal


def handle(event, context):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.read(os.pipe()[0], 1)
