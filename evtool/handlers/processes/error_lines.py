"""Finds the line of a program's standard error that contains the error: often it is not the last one.

Node.js prints its version last. Java and Ruby print a stack last, and the message above it. In a Python traceback the
message comes last, but it may have several lines, of which the first one counts. Example, the output of Node.js:

    /shop/charge.js:4
      throw new Error("the card is blocked")
    Error: the card is blocked                  <- the result: the message above the stack
        at charge (/shop/charge.js:4:9)         a frame of the stack
    Node.js v22.11.0                            a closing line
"""

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

COLOR = re.compile(r"\x1b\[[0-9;]*m")

# Lines after the message of Node.js, Bun, Rust, Go and npm, and blank lines.
CLOSING = re.compile(
    r"(Node\.js|Bun) v\d|\(Use `node |note: run with `RUST_BACKTRACE|exit status \d+$|npm (ERR!|error)|$"
)
TRACEBACK = re.compile(r"( *\+ Exception Group )?Traceback \(most recent call last\):$")
GROUP_MARGIN = re.compile(r" *\| ")

# A line of a stack: of Node.js, Java and .NET, of Ruby, of PHP; and the end of the fields of an error of Node.js.
FRAME = re.compile(r"\s+(at |from |\.\.\. \d+ )|#\d+ [/{]|\}$")

# Lines between or above the lines of a stack.
STACK = re.compile(r"\s|$|Caused by: |Stack trace:$|stack backtrace:$")
EXCEPTION = re.compile(r"(Exception in thread |Uncaught |Unhandled |[\w.$]*(Error|Exception)\b|[\w.$]*[A-Z]\w*: )")
GO_PANIC = re.compile(r"(panic|fatal error): ")
GO_STACK = re.compile(r"goroutine \d+.* \[")

# Characters of a line that are read, and lines that the message above a stack may have.
LINE_LIMIT = 500
MESSAGE_LINES = 20


def find_error_line(errors: str) -> str:
    """Returns the line that contains the error; "" if there is only whitespace."""
    all_lines = [line[:LINE_LIMIT].rstrip() for line in COLOR.sub("", errors).splitlines()]
    lines = all_lines[:]
    while lines and CLOSING.match(lines[-1]):
        lines.pop()
    if not lines:
        return _find_last_text(all_lines)
    line = _find_python_error(lines) or _find_go_panic(lines) or _find_stack_message(lines) or lines[-1]
    return line.strip()


def _find_last_text(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        if line:
            return line.strip()
    return ""


def _find_python_error(lines: Sequence[str]) -> str | None:
    """Returns the first line of the message of the last traceback; that of the group for an exception group."""
    start = _find_traceback(lines)
    if start is None:
        return None
    for line in lines[start + 1 :]:
        content = GROUP_MARGIN.sub("", line, count=1)
        if content and not content[0].isspace():
            return content
    return None


def _find_traceback(lines: Sequence[str]) -> int | None:
    """Returns the index of the header of the last traceback; of the last group, if there are groups."""
    traceback = group = None
    for index, line in enumerate(lines):
        if TRACEBACK.match(line):
            traceback = index
            if line.lstrip().startswith("+"):
                group = index
    if group is None:
        return traceback
    return group


def _find_go_panic(lines: Sequence[str]) -> str | None:
    """Returns the last panic if a stack of Go follows: other programs may print `panic:`, too."""
    if not any(GO_STACK.match(line) for line in lines):
        return None
    return _find_match(GO_PANIC, reversed(lines))


def _find_match(pattern: re.Pattern[str], lines: Iterable[str]) -> str | None:
    for line in lines:
        if pattern.match(line):
            return line
    return None


def _find_stack_message(lines: Sequence[str]) -> str | None:
    """Returns the message above a stack at the end."""
    end, frames = len(lines), 0
    while end and (STACK.match(lines[end - 1]) or FRAME.match(lines[end - 1])):
        end -= 1
        if FRAME.match(lines[end]):
            frames += 1
    if not (frames and end):
        return None
    # A message with blank lines counts only below the last of them.
    message = list(takewhile(bool, reversed(lines[max(end - MESSAGE_LINES, 0) : end])))
    line = _find_match(EXCEPTION, message) or message[0]
    return line.removesuffix("{")
