"""Fixes of findings that change a single token of a file: quotes, a list around a value, a misspelled name.

The hint of a finding determines the fix. It is applied only if the token at the location of the finding is the one that
the hint names:

    routes.yaml:4    source: shop
    finding          line 4, column 11, hint: write the values as a list: ["shop"]
    token there      shop
    fix              [shop]
"""

import re
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from evtool.findings.finding import Finding
from evtool.findings.spelling import find_similar

# The hints that patterns, schemas and routes.yaml give, and that have a fix. These texts must not differ from theirs.
LIST_HINT = "write the values as a list: ["
QUOTE_HINT = "put it in quotes"
UNQUOTE_HINTS = ("write the number without quotes", "write true or false without quotes", "remove the quotes")
UNQUOTE_HINT = "write {} without quotes"
# Codes of warnings and notes that may be fixed. All other warnings may be about something intended.
WARNINGS = ("EV306", "EV604")

_DID_YOU_MEAN = re.compile(r'did you mean "([^"]+)"\?')
_WRITE = re.compile(r'write "([^"]+)"')
_TOKEN = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'|[\w.$@/+\-]+(?::[\w/]+)*""")
_END = re.compile(r"[ \t]*(?:[,\]}:\r\n]|$|(?<=[ \t])#)")
_END_IN_TERRAFORM = re.compile(rf"{_END.pattern}|[ \t]*=(?!=)")
_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w.$@/\-]*")
_PLAIN_VALUE = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false")
# Names that YAML readers may take for a boolean or null when they have no quotes.
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off"))


class Fix(NamedTuple):
    """A replacement of the token from index `start` to `end` of a text by the text `new`."""

    finding: Finding
    start: int
    end: int
    new: str


def find_fixes(text: str, findings: Iterable[Finding]) -> list[Fix]:
    """Returns the fixes for findings in a text, the last one first, so that no fix moves the token of the next one."""
    fixes: dict[tuple[int, int], Fix] = {}
    for finding in findings:
        fix = _find_fix(text, finding)
        if fix:
            fixes[fix.start, fix.end] = fix
    separate: list[Fix] = []
    previous_start = len(text)
    for fix in sorted(fixes.values(), key=attrgetter("start"), reverse=True):
        # Of two overlapping fixes, the one that begins later is applied.
        if fix.end <= previous_start:
            separate.append(fix)
        previous_start = fix.start
    return separate


def apply_fixes(text: str, fixes: Sequence[Fix]) -> str:
    """Returns the text with all fixes applied. They must be in the order of `find_fixes`."""
    for fix in fixes:
        text = text[: fix.start] + fix.new + text[fix.end :]
    return text


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
    # A quote inside a JSON text in a string would end that string.
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
    """Whether the quotes before an index on its line are escaped, so that the index is in a JSON text in a string."""
    return '\\"' in text[text.rfind("\n", 0, offset) + 1 : offset]


def _change(token: str, hint: str) -> str | None:
    """Returns what a hint makes of a token, or None if the hint does not change a single token."""
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
    is_unquote_hint = hint in UNQUOTE_HINTS or hint == UNQUOTE_HINT.format(content)
    if is_unquote_hint and quote and _PLAIN_VALUE.fullmatch(content):
        return content
    return None


def _respell(word: str, name: str, quote: str) -> str | None:
    """Returns the suggested name in the quotes of the word, or None if it is not similar enough to replace it."""
    if find_similar(word, [name]) is None or not _PLAIN_NAME.fullmatch(name):
        return None
    if quote or name.lower() not in _WORDS:
        return f"{quote}{name}{quote}"
    return f'"{name}"'
