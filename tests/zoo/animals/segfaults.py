# Reads memory that is not there.
# python: {outcome: crashed, error: "killed by SIGSEGV"}
# command: {outcome: crashed, error: "killed by SIGSEGV"}

import ctypes


def handle(event, context):
    ctypes.string_at(0)
