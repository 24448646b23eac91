# Prints what is no text, and what would drive a terminal.
# python: {outcome: done}
# command: {outcome: done}

import os


def handle(event, context):
    os.write(1, b"caf\xe9 \xff\xfe\0 \x1b]0;title\x07 \x1b[2J ::error::x\r\n" * 100)
