"""The baseline: a file with the findings that a project accepts for now, so that `check` reports only new ones.

The fingerprint of an entry does not contain the line, so that an accepted finding may move within its file. Each entry
accepts one finding:

    baseline     EV305 of route a, EV305 of route a
    findings     EV305 of route a on line 7, on line 12 and on line 20
    result       two accepted, one new
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
    """The findings that are new, the number of accepted findings, and the number of entries without a finding."""

    new: list[Finding]
    accepted: int
    outdated: int


def compare(findings: Iterable[Finding], file: Path) -> Comparison:
    """Compares findings with a baseline file. Raises BaselineError, and OSError if the file cannot be read."""
    entries = Counter(_read_fingerprints(file))
    new: list[Finding] = []
    accepted = 0
    for finding in findings:
        key = _fingerprint(finding, file.parent)
        if entries[key]:
            entries[key] -= 1
            accepted += 1
        else:
            new.append(finding)
    return Comparison(new, accepted, entries.total())


def write(findings: Iterable[Finding], file: Path) -> None:
    """Writes a baseline that accepts these findings. Replaces an existing file only when the new one is complete."""
    rows = [_build_row(finding, file.parent) for finding in findings]
    # In a stable order, so that the file has small diffs in version control.
    rows.sort(key=_row_order)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(
            json.dumps({"evtool-baseline": VERSION, "findings": rows}, indent=1) + "\n", encoding="utf-8"
        )
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _build_row(finding: Finding, folder: Path) -> dict[str, str | None]:
    # Only the fingerprint is compared. The other members are for people who review the file.
    return {
        "fingerprint": _fingerprint(finding, folder),
        "code": finding.code,
        "file": _relative_to(finding.file, folder),
        "route": finding.route,
        "message": finding.message,
    }


def _row_order(row: dict[str, str | None]) -> tuple[str, str, str]:
    return row["file"] or "", row["code"] or "", row["message"] or ""


def _read_fingerprints(file: Path) -> list[str]:
    try:
        value: Any = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"it is not well-formed JSON: {error}") from None
    if not isinstance(value, dict) or value.get("evtool-baseline") != VERSION:
        raise BaselineError("it is not a file that --write-baseline wrote")
    rows = value.get("findings")
    if not isinstance(rows, list):
        return []
    fingerprints = []
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("fingerprint"), str):
            fingerprints.append(row["fingerprint"])
    return fingerprints


def _fingerprint(finding: Finding, folder: Path) -> str:
    parts = (finding.code, _relative_to(finding.file, folder), finding.route, finding.pointer, finding.message)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _relative_to(file: str | None, folder: Path) -> str | None:
    """Returns a path relative to the folder of the baseline, so that the current folder of evtool does not matter."""
    if file is None:
        return None
    return Path(os.path.relpath(file, folder)).as_posix()
