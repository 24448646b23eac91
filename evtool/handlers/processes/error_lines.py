"""Finds the line of a program's standard error that says what went wrong: not always the last one.

Node.js ends with its version, Java and Ruby with a stack, whose first line has the message. In a Python traceback the
message comes last, but may have several lines, of which the first one counts.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

COLOR = re.compile(r"\x1b\[[0-9;]*m")
# lines after the message of Node.js, Bun, Rust, Go and npm, and blank ones
CLOSING = re.compile(
    r"(Node\.js|Bun) v\d|\(Use `node |note: run with `RUST_BACKTRACE|exit status \d+$|npm (ERR!|error)|$"
)
TRACEBACK = re.compile(r"( *\+ Exception Group )?Traceback \(most recent call last\):$")
GROUP_MARGIN = re.compile(r" *\| ")
# a line of a stack: of Node.js, Java and .NET, of Ruby, of PHP; the end of the fields of an error of Node.js
FRAME = re.compile(r"\s+(at |from |\.\.\. \d+ )|#\d+ [/{]|\}$")
# what may stand between the lines of a stack, or above them
STACK = re.compile(r"\s|$|Caused by: |Stack trace:$|stack backtrace:$")
EXCEPTION = re.compile(r"(Exception in thread |Uncaught |Unhandled |[\w.$]*(Error|Exception)\b|[\w.$]*[A-Z]\w*: )")
GO_PANIC = re.compile(r"(panic|fatal error): ")
GO_STACK = re.compile(r"goroutine \d+.* \[")
LINE_LIMIT = 500  # characters of a line that are read
MESSAGE_LINES = 20  # lines that the message above a stack may have


def find_error_line(errors: str) -> str:
    """The line that says what went wrong; empty if there is none."""
    all_lines = [line[:LINE_LIMIT].rstrip() for line in COLOR.sub("", errors).splitlines()]
    lines = all_lines[:]
    while lines and CLOSING.match(lines[-1]):
        lines.pop()
    if not lines:
        return next(filter(None, reversed(all_lines)), "").strip()
    return (_find_python_error(lines) or _find_go_panic(lines) or _find_stack_message(lines) or lines[-1]).strip()


def _find_python_error(lines: Sequence[str]) -> str | None:
    """The first line of the message of the last traceback; of an exception group that of the group."""
    headers = [index for index, line in enumerate(lines) if TRACEBACK.match(line)]
    groups = [index for index in headers if lines[index].lstrip().startswith("+")]
    start = (groups or headers or [len(lines)])[-1]
    contents = (GROUP_MARGIN.sub("", line, count=1) for line in lines[start + 1 :])
    return next((line for line in contents if line and not line[0].isspace()), None)


def _find_go_panic(lines: Sequence[str]) -> str | None:
    if not any(GO_STACK.match(line) for line in lines):
        return None
    return next((line for line in reversed(lines) if GO_PANIC.match(line)), None)


def _find_stack_message(lines: Sequence[str]) -> str | None:
    """The message above a stack at the end."""
    end, frames = len(lines), 0
    while end and (STACK.match(lines[end - 1]) or FRAME.match(lines[end - 1])):
        end -= 1
        frames += FRAME.match(lines[end]) is not None
    if not (frames and end):
        return None
    # a message has no blank lines, or only the part below them counts
    message = list(takewhile(bool, reversed(lines[max(end - MESSAGE_LINES, 0) : end])))
    line = next((line for line in message if EXCEPTION.match(line)), message[0])
    return line.removesuffix("{")
