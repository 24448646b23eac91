"""The baseline: a file with the findings that a project accepts for now, so that `check` reports only new ones.

An entry does not depend on lines: moving what is found keeps it, and a second finding of the same kind is a new one.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from evtool.findings.finding import Finding

VERSION = 1


class BaselineError(ValueError):
    """The file is not a baseline. The message says why."""


class Comparison(NamedTuple):
    """The findings that a baseline does not accept, how many it accepts, and how many of its entries were not found."""

    new: list[Finding]
    accepted: int
    outdated: int


def compare(findings: Iterable[Finding], file: Path) -> Comparison:
    """Compares findings with the baseline in a file. Raises BaselineError, and OSError if it cannot be read."""
    entries = Counter(_read_fingerprints(file))
    new, accepted = [], 0
    for finding in findings:
        key = _fingerprint(finding, file.parent)
        if entries[key]:
            entries[key] -= 1
            accepted += 1
        else:
            new.append(finding)
    return Comparison(new, accepted, entries.total())


def write(findings: Iterable[Finding], file: Path) -> None:
    """Writes a baseline that accepts these findings. The file is replaced when it is complete."""
    rows = [
        {
            "fingerprint": _fingerprint(finding, file.parent),
            "code": finding.code,
            "file": _relative_to(finding.file, file.parent),
            "route": finding.route,
            "message": finding.message,
        }
        for finding in findings
    ]
    rows.sort(key=lambda row: (row["file"] or "", row["code"], row["message"] or ""))
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(
            json.dumps({"evtool-baseline": VERSION, "findings": rows}, indent=1) + "\n", encoding="utf-8"
        )
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _read_fingerprints(file: Path) -> list[str]:
    try:
        value: Any = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"it is not well-formed JSON: {error}") from None
    if not isinstance(value, dict) or value.get("evtool-baseline") != VERSION:
        raise BaselineError("it is not a file that --write-baseline wrote")
    rows = value.get("findings")
    return [row["fingerprint"] for row in (rows if isinstance(rows, list) else []) if _is_row(row)]


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("fingerprint"), str)


def _fingerprint(finding: Finding, folder: Path) -> str:
    parts = (finding.code, _relative_to(finding.file, folder), finding.route, finding.pointer, finding.message)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _relative_to(file: str | None, folder: Path) -> str | None:
    """A file as seen from the folder of the baseline, so that it does not matter where evtool is started."""
    if file is None:
        return None
    return Path(os.path.relpath(file, folder)).as_posix()
