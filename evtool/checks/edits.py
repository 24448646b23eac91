"""Changes files for `evtool check`: fixes, and ignore comments."""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from evtool.errors import UsageError
from evtool.findings.finding import Finding
from evtool.findings.fixes import apply_fixes, find_fixes
from evtool.findings.suppressions import add_comments, has_comments
from evtool.paths import display_path

REASON = "added by --add-ignores: say why this is intended"


def fix_files(findings: Iterable[Finding]) -> tuple[int, dict[Path, bytes]]:
    """Applies the fixes of findings. Returns the number of fixes, and the changed files as they were before.

    Raises UsageError if a file cannot be written.
    """
    count = 0

    def fix(text: str, own: list[Finding]) -> str:
        nonlocal count
        fixes = find_fixes(text, own)
        count += len(fixes)
        return apply_fixes(text, fixes)

    originals = _change_files(findings, fix)
    return count, originals


def add_ignores(findings: Iterable[Finding]) -> dict[Path, bytes]:
    """Adds an ignore comment for each finding whose file has comments, and returns these files as they were before.

    Raises UsageError if a file cannot be written.
    """

    def comment(text: str, own: list[Finding]) -> str:
        codes: defaultdict[int, list[str]] = defaultdict(list)
        for finding in own:
            codes[finding.line or 1].append(finding.code)
        return add_comments(own[0].file or "", text, codes, REASON)

    # A JSON file has no comments; its findings can be ignored in `check:` of routes.yaml.
    return _change_files([f for f in findings if f.file and has_comments(f.file)], comment)


def restore_files(originals: Mapping[Path, bytes]) -> None:
    """Restores the content that files had before a change."""
    for file, raw in originals.items():
        _replace(file, raw)


def _change_files(findings: Iterable[Finding], change: Callable[[str, list[Finding]], str]) -> dict[Path, bytes]:
    by_file: defaultdict[Path, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.file:
            # A replaced link would no longer be a link, so the file that it leads to is changed.
            by_file[Path(os.path.realpath(finding.file))].append(finding)
    originals: dict[Path, bytes] = {}
    for file, own in by_file.items():
        # A finding reports a file that cannot be read.
        with suppress(OSError, UnicodeDecodeError):
            raw = file.read_bytes()
            changed = change(raw.decode(), own).encode()
            if changed != raw:
                _replace(file, changed)
                originals[file] = raw
    return originals


def _replace(file: Path, raw: bytes) -> None:
    # The new content is complete before it replaces the file, so an editor or another process never sees half of it.
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(raw)
        shutil.copymode(file, partial)
        partial.replace(file)
    except OSError as error:
        raise UsageError(f"cannot write {display_path(file)}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
