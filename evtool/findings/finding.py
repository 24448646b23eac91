"""A finding: one thing found wrong, with a code, a place and a hint. The currency of all reports."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

# code -> what it is about. Ranges: EV0 files and syntax, EV1 event against schema, EV2 pattern syntax,
# EV4 routing, EV5 handlers, EV6 schemas.
CODES = {
    "EV001": "file cannot be read",
    "EV002": "not well-formed JSON",
    "EV003": "duplicate key",
    "EV004": "not UTF-8",
    "EV005": "number out of range",
    "EV006": "lone surrogate",
    "EV007": "nested too deeply",
    "EV008": "event too long",
    "EV009": "not an event",
    "EV010": "same source and id, other content",
    "EV020": "not well-formed YAML",
    "EV021": "unknown key in routes.yaml",
    "EV022": "missing or wrong value in routes.yaml",
    "EV030": "store is damaged",
    "EV031": "bytes of an event are not those that were stored",
    "EV032": "column of the store does not agree with the event",
    "EV033": "row of the store names another that is not there",
    "EV034": "sums of the store do not add up",
    "EV035": "store can be read by others",
    "EV036": "store is on a disk that is not made for it",
    "EV101": "no schema for the event's type",
    "EV102": "required property missing",
    "EV103": "property not allowed",
    "EV104": "wrong type",
    "EV105": "not one of the allowed values",
    "EV106": "out of bounds",
    "EV107": "wrong format or pattern",
    "EV108": "wrong envelope",
    "EV109": "another rule of the schema does not hold",
    "EV201": "pattern has the wrong shape",
    "EV202": "unknown operator",
    "EV203": "wrong value for an operator",
    "EV204": "pattern exceeds a limit",
    "EV403": "route goes to a handler that is not there",
    "EV601": "schema cannot be read",
    "EV602": "not a valid JSON Schema",
    "EV603": "reference that cannot be followed",
}


class Finding(NamedTuple):
    """One thing found wrong.

    `line` and `column` count from 1, columns in characters. `pointer` is a JSON Pointer (RFC 6901)
    into the document. `excerpt` is the source line, or the part of it that begins in the column
    `excerpt_start`, and `width` how much of it to underline; they serve the text form only.
    """

    code: str
    message: str
    severity: str = "error"  # error | warning | note
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
        """The finding as machines read it: every key always there, `None` where it has no value."""
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


def did_you_mean(word: object, known: Iterable[object]) -> str | None:
    """The known word nearest to a mistaken one, as a hint, or None when none is near."""
    lower = {str(k).lower(): str(k) for k in known}
    near = get_close_matches(str(word).lower(), lower, n=1, cutoff=0.6)
    return f'did you mean "{lower[near[0]]}"?' if near else None
