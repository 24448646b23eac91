"""Ignore comments: `# evtool: ignore[EV305] reason` on the line of a finding, or on a line of its own above it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.findings.codes import CODES
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean

SUFFIXES = (".yaml", ".yml", ".tf", ".template")  # of files that have comments with `#`
_COMMENT = re.compile(r"(?:^|(?<=\s))#\s*evtool:\s*ignore\b(?P<codes>\[[^\]]*\]?)?[ \t]*(?P<reason>.*)$", re.MULTILINE)
TERRAFORM = ".tf"
_HEREDOC = re.compile(r"<<-?(\w+)\r?\n.*?^[ \t]*\1\b", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"[^\s,\[\]]+")


class IgnoreComment(NamedTuple):
    """A comment, where it is, and the line whose findings it ignores."""

    file: str
    line: int
    column: int
    codes: tuple[str, ...]  # or prefixes of codes
    reason: str
    target_line: int
    source_line: str

    def ignores(self, finding: Finding) -> bool:
        """Whether a finding is on the line that the comment is for, and has one of its codes."""
        is_there = (finding.file, finding.line) == (self.file, self.target_line)
        return is_there and any(finding.code.startswith(code) for code in self.codes)


def has_comments(file: str) -> bool:
    """Whether a file has comments with `#`, by its name."""
    return file.endswith(SUFFIXES)


def find_ignore_comments(file: str, text: str) -> list[IgnoreComment]:
    """The ignore comments in the text of a file. What only looks like one inside a YAML string is left out."""
    if "evtool:" not in text:
        return []
    matches = list(_COMMENT.finditer(text))
    if matches:
        strings = _find_strings(file, text)
    else:
        strings = []
    lines = text.split("\n")
    comments = []
    for match in matches:
        if any(start <= match.start() < end for start, end in strings):
            continue
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        codes = tuple(_CODE.findall(match["codes"] or ""))
        if lines[line - 1][: column - 1].strip():
            target = line
        else:
            target = _find_next_line(lines, line)
        comments.append(IgnoreComment(file, line, column, codes, match["reason"].strip(), target, lines[line - 1]))
    return comments


def _find_next_line(lines: Sequence[str], line: int) -> int:
    """The next line that is neither blank nor a comment."""
    for number in range(line + 1, len(lines) + 1):
        if lines[number - 1].strip() and not lines[number - 1].lstrip().startswith("#"):
            return number
    return line


def _find_strings(file: str, text: str) -> list[tuple[int, int]]:
    """Where the scalars of a YAML text are, or the heredocs of Terraform; none if it is not well-formed."""
    if file.endswith(TERRAFORM):
        return [match.span() for match in _HEREDOC.finditer(text)]
    import yaml  # noqa: PLC0415  (only for files that have such comments)

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tokens = [token for token in yaml.scan(text, Loader=loader) if isinstance(token, yaml.ScalarToken)]
    except yaml.YAMLError:
        return []
    return [(token.start_mark.index, token.end_mark.index) for token in tokens]


def apply_comments(
    findings: Iterable[Finding], comments: Sequence[IgnoreComment]
) -> tuple[list[Finding], list[Finding], set[tuple[int, str]]]:
    """The findings that stay, those that are ignored, and which code of which comment (by its number) ignored one."""
    kept: list[Finding] = []
    ignored: list[Finding] = []
    used: set[tuple[int, str]] = set()
    for finding in findings:
        hits = [
            (number, code)
            for number, comment in enumerate(comments)
            if comment.ignores(finding)
            for code in comment.codes
            if finding.code.startswith(code)
        ]
        used.update(hits)
        (ignored if hits else kept).append(finding)
    return kept, ignored, used


def check_comments(
    comments: Sequence[IgnoreComment], used: set[tuple[int, str]], examined: Sequence[str]
) -> list[Finding]:
    """EV901 and EV902. `examined` are the codes, or prefixes of codes, that the run could find."""
    findings: list[Finding] = []
    for number, comment in enumerate(comments):
        location = _locate(comment)
        if not comment.codes:
            message, hint = "the ignore comment names no code", "write # evtool: ignore[EV305] and the reason"
            findings.append(Finding("EV901", message, "warning", suggestion=hint, **location))
            continue
        for code in comment.codes:
            is_known = any(known.startswith(code) for known in CODES)
            was_examined = any(code.startswith(prefix) or prefix.startswith(code) for prefix in examined)
            if (number, code) in used or (is_known and not was_examined):
                continue
            what = "the comment ignores nothing" if len(comment.codes) == 1 else f"{code} ignores nothing"
            message = f"{what} on line {comment.target_line}"
            advice = "remove it" if is_known else did_you_mean(code, CODES)
            findings.append(Finding("EV901", message, "warning", suggestion=advice, **location))
        if not comment.reason:
            message = "the ignore comment gives no reason"
            hint = "say behind the bracket why this is intended"
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
    """A text with an ignore comment above each of these lines; none where it would become part of a string."""
    tokens = _list_tokens(file, text)
    for line in sorted(codes_by_line, reverse=True):
        lines = text.split("\n")
        indent = re.match(r"[ \t]*", lines[line - 1])
        codes = ", ".join(sorted(set(codes_by_line[line])))
        end = ""
        if lines[line - 1].endswith("\r"):
            end = "\r"
        lines.insert(line - 1, f"{indent[0] if indent else ''}# evtool: ignore[{codes}] {reason}{end}")
        changed = "\n".join(lines)
        if _list_tokens(file, changed) == tokens:
            text = changed
    return text


def _list_tokens(file: str, text: str) -> list[tuple[str, object]] | None:
    """The tokens of a YAML text without their places, or the heredocs of Terraform; None if it is not well-formed."""
    if file.endswith(TERRAFORM):
        return [("heredoc", match[0]) for match in _HEREDOC.finditer(text)]
    import yaml  # noqa: PLC0415  (only to add comments)

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [(type(token).__name__, getattr(token, "value", None)) for token in yaml.scan(text, Loader=loader)]
    except yaml.YAMLError:
        return None
