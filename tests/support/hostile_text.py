"""Hostile texts for terminals, CI runners and parsers, and functions that find out which of them would obey."""

import re
from typing import NamedTuple

# What has driven terminals, CI runners and parsers before.
NAUGHTY = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x90payload\x9c",
    "\x00\x01\x07\x08\x0b\x0c\x0e\x1f\x7f",
    "\r::error::carriage return",
    "\n::error::line feed",
    "\n::set-output name=x::y",
    "\u2028::error::line separator",
    "\x85::warning::next line",
    "::error file=x,line=1::at the start",
    "  ::error::after blanks",
    "::add-mask::a",
    "::stop-commands::pause",
    "##[error]anywhere",
    "###[group]three",
    "####[group]four",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[buildStatus status='FAILURE']",
    "text before ##[add-mask]a",
    "%0A::error::percent",
    "%25%0D%0A%3A%2C",
    "a,line=99::b",
    "\u202eright to left\u202c",
    "\u2066isolate\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "\U000e0001\U000e0041tags",
    "]]>",
    "<![CDATA[x]]>",
    "</failure><injected/>",
    "&amp;&#0;&undefined;",
    "\"'<>&",
    "\ufffe\uffff\ufdd0",
    "<script>alert(1)</script>",
    '"}, {"code": "forged"',
    "=cmd|' /C calc'!A0",
    "注文 😀 Ünï e\u0301",
    "\t\ttabs\t",
    "",
    " ",
    "x" * 100_000,
]
LONE = ["\ud83d", "a\udcffb"]  # no event has them, but file names do

RUNNER_COMMANDS = {  # what GitHub's runner obeys (actions/runner, ActionCommandManager and its extensions)
    "error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "add-path", "add-matcher",
    "remove-matcher", "save-state", "set-output", "set-env", "stop-commands", "echo", "internal-set-repo-path",
}  # fmt: skip


class Command(NamedTuple):
    """A command that GitHub's runner reads from a line."""

    name: str
    properties: dict[str, str]
    data: str


def obeyed(line: str) -> Command | None:
    """Returns the command in a line by the runner's rules: `::name k=v,k=v::data` at its start after blanks, else
    `##[name k=v;k=v]data` anywhere."""
    trimmed = line.lstrip()
    if trimmed.startswith("::") and "::" in trimmed[2:]:
        head, _, data = trimmed[2:].partition("::")
        name, _, rest = head.partition(" ")
        if name.lower() in RUNNER_COMMANDS:
            pairs = (pair.partition("=") for pair in rest.split(",") if pair)
            return Command(name, {key.strip(): _plain(value) for key, _, value in pairs}, _plain(data))
    old = re.search(r"##\[([^\]]*)\](.*)", line)
    if old and old[1].split(" ")[0].lower() in RUNNER_COMMANDS:
        return Command(old[1].split(" ")[0], {}, old[2])
    return None


def _plain(text: str) -> str:
    for code, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, char)
    return text


def lines(text: str) -> list[str]:
    """Splits an output at every line end of Unicode, as a runner or a terminal may do."""
    return text.splitlines()


def harmless_to_a_terminal(text: str) -> bool:
    """Whether a text has only printable characters and line ends."""
    return all(char.isprintable() or char == "\n" for char in text)
