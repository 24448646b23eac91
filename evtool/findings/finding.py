"""The Finding value: one problem with its code, location and hint. Reports print findings."""

from collections.abc import Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """One problem.

    `line` and `column` count from 1, columns in characters. `pointer` is a JSON Pointer (RFC 6901) into the document.
    `excerpt` is the source line, or the part of it that begins in column `excerpt_start`. `width` is the number of
    characters to underline. Only reports in text form use these three.
    """

    code: str
    message: str
    # One of "error", "warning" and "note".
    severity: str = "error"
    file: str | None = None
    line: int | None = None
    column: int | None = None
    pointer: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    route: str | None = None
    suggestion: str | None = None
    excerpt: str | None = None
    width: int = 1
    excerpt_start: int = 1

    def as_dict(self) -> dict[str, str | int | None]:
        """Returns the finding as a record for JSON output. Every key is present; a missing value is None."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "pointer": self.pointer,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "route": self.route,
            "suggestion": self.suggestion,
        }


def list_finding_records(findings: Iterable[Finding]) -> list[dict[str, str | int | None]]:
    """Returns findings as machines read them."""
    return [finding.as_dict() for finding in findings]


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether a finding is an error, not only a warning or a note."""
    return any(finding.severity == "error" for finding in findings)
