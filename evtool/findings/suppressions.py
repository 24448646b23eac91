"""Ignore comments: `# evtool: ignore[EV305] reason` at the end of the line of a finding, or on the line above it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.findings.codes import CODES
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean

# The names of files in which `#` begins a comment.
SUFFIXES = (".yaml", ".yml", ".tf", ".template")
_COMMENT = re.compile(r"(?:^|(?<=\s))#\s*evtool:\s*ignore\b(?P<codes>\[[^\]]*\]?)?[ \t]*(?P<reason>.*)$", re.MULTILINE)
TERRAFORM = ".tf"
_HEREDOC = re.compile(r"<<-?(\w+)\r?\n.*?^[ \t]*\1\b", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"[^\s,\[\]]+")


class IgnoreComment(NamedTuple):
    """An ignore comment, its location, and the line whose findings it ignores. `codes` may be prefixes of codes."""

    file: str
    line: int
    column: int
    codes: tuple[str, ...]
    reason: str
    target_line: int
    source_line: str

    def ignores(self, finding: Finding) -> bool:
        """Returns whether a finding is on the target line and has one of the codes."""
        if finding.file != self.file or finding.line != self.target_line:
            return False
        return finding.code.startswith(self.codes)


def has_comments(file: str) -> bool:
    """Returns whether `#` begins a comment in a file of this name."""
    return file.endswith(SUFFIXES)


def find_ignore_comments(file: str, text: str) -> list[IgnoreComment]:
    """Returns the ignore comments in the text of a file. Text like a comment inside a YAML string is not a comment."""
    if "evtool:" not in text:
        return []
    matches = list(_COMMENT.finditer(text))
    if not matches:
        return []
    strings = _find_strings(file, text)
    lines = text.split("\n")
    comments = []
    for match in matches:
        if any(start <= match.start() < end for start, end in strings):
            continue
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        codes = tuple(_CODE.findall(match["codes"] or ""))
        # A comment on a line without anything else is for the next line with content.
        if lines[line - 1][: column - 1].strip():
            target = line
        else:
            target = _find_next_line(lines, line)
        comments.append(IgnoreComment(file, line, column, codes, match["reason"].strip(), target, lines[line - 1]))
    return comments


def _find_next_line(lines: Sequence[str], line: int) -> int:
    """Returns the number of the next line that is neither blank nor a comment."""
    for number in range(line + 1, len(lines) + 1):
        content = lines[number - 1].strip()
        if content and not content.startswith("#"):
            return number
    return line


def _find_strings(file: str, text: str) -> list[tuple[int, int]]:
    """Returns the ranges of the YAML scalars or Terraform heredocs in a text; none if it is not well-formed YAML."""
    if file.endswith(TERRAFORM):
        return [match.span() for match in _HEREDOC.finditer(text)]
    # Imported late: few files have ignore comments.
    import yaml  # noqa: PLC0415

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    ranges = []
    try:
        for token in yaml.scan(text, Loader=loader):
            if isinstance(token, yaml.ScalarToken):
                ranges.append((token.start_mark.index, token.end_mark.index))
    except yaml.YAMLError:
        return []
    return ranges


def apply_comments(
    findings: Iterable[Finding], comments: Sequence[IgnoreComment]
) -> tuple[list[Finding], list[Finding], set[tuple[int, str]]]:
    """Returns the remaining findings, the ignored ones, and the (comment number, code) pairs that ignored one."""
    kept: list[Finding] = []
    ignored: list[Finding] = []
    used: set[tuple[int, str]] = set()
    for finding in findings:
        is_ignored = False
        # All comments that apply count as used, so that none of them becomes EV901.
        for number, comment in enumerate(comments):
            if comment.ignores(finding):
                is_ignored = True
                used.update((number, code) for code in comment.codes if finding.code.startswith(code))
        if is_ignored:
            ignored.append(finding)
        else:
            kept.append(finding)
    return kept, ignored, used


def check_comments(
    comments: Sequence[IgnoreComment], used: set[tuple[int, str]], examined: Sequence[str]
) -> list[Finding]:
    """Returns EV901 and EV902 for comments. `examined` are the codes, or prefixes, that the run was able to report."""
    findings: list[Finding] = []
    for number, comment in enumerate(comments):
        location = _locate(comment)
        if not comment.codes:
            message, hint = "the ignore comment names no code", "write # evtool: ignore[EV305] and the reason"
            findings.append(Finding("EV901", message, "warning", suggestion=hint, **location))
            continue
        for code in comment.codes:
            is_known = any(known.startswith(code) for known in CODES)
            # A run with --select does not report all codes, and cannot judge comments with the other ones.
            was_examined = any(code.startswith(prefix) or prefix.startswith(code) for prefix in examined)
            if (number, code) in used or (is_known and not was_examined):
                continue
            subject = code
            if len(comment.codes) == 1:
                subject = "the comment"
            message = f"{subject} ignores nothing on line {comment.target_line}"
            advice: str | None = "remove it"
            if not is_known:
                advice = did_you_mean(code, CODES)
            findings.append(Finding("EV901", message, "warning", suggestion=advice, **location))
        if not comment.reason:
            message = "the ignore comment gives no reason"
            hint = "write after the bracket why this is intended"
            findings.append(Finding("EV902", message, "warning", suggestion=hint, **location))
    return findings


def _locate(comment: IgnoreComment) -> dict[str, Any]:
    return {
        "file": comment.file,
        "line": comment.line,
        "column": comment.column,
        "excerpt": comment.source_line,
        "width": len(comment.source_line.rstrip()) - comment.column + 1,
    }


def add_comments(file: str, text: str, codes_by_line: Mapping[int, Iterable[str]], reason: str) -> str:
    """Inserts an ignore comment above each of these lines, except where it would become part of a string."""
    tokens = _list_tokens(file, text)
    # From the last line to the first, so that the numbers of the remaining lines stay valid.
    for line in sorted(codes_by_line, reverse=True):
        lines = text.split("\n")
        target = lines[line - 1]
        indent = target[: len(target) - len(target.lstrip(" \t"))]
        codes = ", ".join(sorted(set(codes_by_line[line])))
        end = ""
        if target.endswith("\r"):
            end = "\r"
        lines.insert(line - 1, f"{indent}# evtool: ignore[{codes}] {reason}{end}")
        changed = "\n".join(lines)
        # A comment changes no token. In the middle of a block string it would.
        if _list_tokens(file, changed) == tokens:
            text = changed
    return text


def _list_tokens(file: str, text: str) -> list[tuple[str, object]] | None:
    """Returns the YAML tokens without locations, or the Terraform heredocs; None if the YAML is not well-formed."""
    if file.endswith(TERRAFORM):
        return [("heredoc", match[0]) for match in _HEREDOC.finditer(text)]
    import yaml  # noqa: PLC0415

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [(type(token).__name__, getattr(token, "value", None)) for token in yaml.scan(text, Loader=loader)]
    except yaml.YAMLError:
        return None
