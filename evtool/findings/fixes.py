"""Fixes of findings that change a single token of a file: quotes, a list around a value, a misspelled name.

The fix follows from the hint of a finding, and is made only if the token in the file is what the hint is about.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evtool.findings.finding import Finding
from evtool.findings.spelling import find_similar

LIST_HINT = "values stand in a list: ["
QUOTE_HINT = "put it in quotes"
UNQUOTE_HINTS = ("write the number without quotes", "write true or false without quotes", "remove the quotes")
UNQUOTE_HINT = "write {} without quotes"
WARNINGS = ("EV306", "EV604")  # the warnings and notes that may be fixed; all others may be intended

_DID_YOU_MEAN = re.compile(r'did you mean "([^"]+)"\?')
_WRITE = re.compile(r'write "([^"]+)"')
_TOKEN = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'|[\w.$@/+\-]+(?::[\w/]+)*""")
_END = re.compile(r"[ \t]*(?:[,\]}:\r\n]|$|(?<=[ \t])#)")
_END_IN_TERRAFORM = re.compile(rf"{_END.pattern}|[ \t]*=(?!=)")
_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w.$@/\-]*")
_PLAIN_VALUE = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off"))  # which YAML may read as something else


class Fix(NamedTuple):
    """A token of a text, from `start` to `end`, and what it becomes."""

    finding: Finding
    start: int
    end: int
    new: str


def find_fixes(text: str, findings: Iterable[Finding]) -> list[Fix]:
    """The fixes for findings in a text, from its end to its start, so that none moves the next one."""
    fixes = {(fix.start, fix.end): fix for finding in findings if (fix := _find_fix(text, finding))}
    ordered = sorted(fixes.values(), key=lambda fix: fix.start, reverse=True)
    return [fix for fix, previous in zip(ordered, [None, *ordered], strict=False) if _is_apart(fix, previous)]


def apply_fixes(text: str, fixes: Sequence[Fix]) -> str:
    """The text with all fixes, which are in the order of `find_fixes`."""
    for fix in fixes:
        text = text[: fix.start] + fix.new + text[fix.end :]
    return text


def _is_apart(fix: Fix, previous: Fix | None) -> bool:
    return previous is None or fix.end <= previous.start


def _find_fix(text: str, finding: Finding) -> Fix | None:
    is_fixable = finding.severity == "error" or finding.code in WARNINGS
    if not is_fixable or finding.code.startswith("EV1") or not finding.suggestion or finding.line is None:
        return None
    start = _find_offset(text, finding.line, finding.column or 1)
    match = _TOKEN.match(text, start)
    if (finding.file or "").endswith(".tf"):
        end = _END_IN_TERRAFORM
    else:
        end = _END
    if match is None or not end.match(text, match.end()):
        return None
    new = _change(match[0], finding.suggestion)
    if new and '"' in new and _is_escaped(text, start):
        return None
    if new is not None and new != match[0]:
        return Fix(finding, start, match.end(), new)
    return None


def _find_offset(text: str, line: int, column: int) -> int:
    ends = [match.end() for match in re.finditer(r"\r\n?|\n", text)]
    if line > 1:
        start = ends[line - 2]
    else:
        start = int(text.startswith("\ufeff"))
    return start + column - 1


def _is_escaped(text: str, offset: int) -> bool:
    """Whether the quotes before a place on its line are escaped: it is in a text inside a string."""
    return '\\"' in text[text.rfind("\n", 0, offset) + 1 : offset]


def _change(token: str, hint: str) -> str | None:
    """What a token becomes by a hint, or None if the hint says nothing that changes a single token."""
    quote = ""
    if token[0] in "\"'":
        quote = token[0]
    if quote:
        content = token[1:-1]
    else:
        content = token
    match = _DID_YOU_MEAN.fullmatch(hint)
    if match:
        return _respell(content, match[1], quote)
    if hint == f"write a list: [{content}]":
        return f"[{token}]"
    if hint.startswith(LIST_HINT) and hint.endswith("]") and ";" not in hint:
        return f"[{token}]"
    if hint in (QUOTE_HINT, f'{QUOTE_HINT}: "{content}"') and not quote:
        return f'"{content}"'
    match = _WRITE.fullmatch(hint)
    if match and match[1] == content and not quote:
        return f'"{content}"'
    if hint in (*UNQUOTE_HINTS, UNQUOTE_HINT.format(content)) and quote and _PLAIN_VALUE.fullmatch(content):
        return content
    return None


def _respell(word: str, name: str, quote: str) -> str | None:
    """The near name in the quotes of the word, if it is near enough to be changed without asking."""
    if find_similar(word, [name]) is None or not _PLAIN_NAME.fullmatch(name):
        return None
    if quote or name.lower() not in _WORDS:
        return f"{quote}{name}{quote}"
    return f'"{name}"'
