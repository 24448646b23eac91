# Leaves children everywhere, and takes too long.
# python: {outcome: timeout, error: took longer than 1.5s}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import subprocess
import time


def handle(event, context):
    for session in (False, True):
        subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600 & sleep 600"], start_new_session=session)
    time.sleep(600)
