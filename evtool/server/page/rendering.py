"""Renders the templates of the page: escapes texts of events, formats times, and sets the headers that protect it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from evtool.terminal.sanitize import escape_unprintable

FOLDER = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not "no-referrer", with which a browser sends forms with `Origin: null`
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Characters of a line that are shown. A browser lays out longer lines slowly.
MAX_LINE = 2000
_MEMBER = re.compile(r'(\s*)("(?:[^"\\]|\\.)*")(: )(.*)', re.DOTALL)
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))  # seconds of a unit


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Returns a page made from a template and values."""
    return HTMLResponse(open_templates().get_template(template).render(values), status, HEADERS)


@cache
def open_templates() -> Environment:
    """Returns the templates. Every value is escaped, and its invisible characters are spelled out."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_spell_out,
    )
    environment.filters |= {"iso": format_iso, "time": format_time, "number": "{:,}".format}
    environment.globals |= {"version": compute_assets_version(), "format_age": format_age}
    return environment


@cache
def read_assets() -> dict[str, bytes]:
    """Returns the files of the page that are the same for everybody, by name."""
    return {file.name: file.read_bytes() for file in sorted((FOLDER / "assets").iterdir())}


def compute_assets_version() -> str:
    """Returns a text that changes with these files, so that a browser may keep them."""
    return sha256(b"".join(read_assets().values())).hexdigest()[:12]


def format_iso(ms: int) -> str:
    """Milliseconds since 1970 for a machine."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_time(ms: int) -> str:
    """Milliseconds since 1970 as date and time of day in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def format_age(ms: int, now: int) -> str:
    """Returns how long ago a time was, or how far ahead it is, in its largest unit."""
    seconds = abs(now - ms) / 1000
    for size, unit in _AGES:
        if seconds >= size:
            text = f"{int(seconds // size)} {unit}"
            if ms <= now:
                return f"{text} ago"
            return f"in {text}"
    if ms <= now:
        return "just now"
    return "now"


def format_document(document: Any) -> Iterator[tuple[str, str, str, str]]:
    """Yields the lines of a JSON document: indentation, name of a member, colon, and the rest.

    The name may be empty.
    """
    for line in json.dumps(document, indent=2, ensure_ascii=False).split("\n"):
        member = _MEMBER.fullmatch(line)
        if member:
            indent, name, colon, rest = member.groups()
        else:
            indent, name, colon, rest = ("", "", "", line)
        yield indent, shorten(name), colon, shorten(rest)


def shorten(line: str) -> str:
    """Returns a line of a length that a browser lays out fast."""
    hidden = len(line) - MAX_LINE
    if hidden <= 0:
        return line
    return f"{line[:MAX_LINE]}… ({hidden:,} more characters)"


def _spell_out(value: Any) -> Any:
    if type(value) is str:
        return escape_unprintable(value)
    return value
