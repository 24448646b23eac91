"""The files of a store: their names, and whether they exist. Imports no apsw, so that `validate` starts fast."""

import os
from contextlib import suppress
from pathlib import Path

from evtool.errors import StoreError

DEFAULT_FOLDER = ".evtool"  # of a store, in the project's folder
WAL = "-wal"
JOURNALS = (WAL, "-journal")  # files beside the store's that hold what was committed, or undo what was not
SIDE_FILES = (WAL, "-shm", "-journal")  # everything that SQLite keeps beside a file that it works with
CALL_LOG = "-diary-"  # followed by the worker's name: a call log (see handlers/processes/call_log.py)
LOST = "a store was never made in it, or is lost; restore a backup"


def is_missing(file: Path) -> bool:
    """Whether nothing is left of a store by this name. What is there and cannot be used is told when it is opened."""
    try:
        file.lstat()
    except FileNotFoundError:
        return not find_journals(file)
    except (OSError, ValueError):
        return False
    return False


def check_not_empty(file: Path) -> None:
    """Raises StoreError for an empty file: who only asks what a store holds makes none of it."""
    if os.path.isfile(file) and os.path.getsize(file) == 0:  # noqa: PTH113, PTH202  (Path's raise for what is no name)
        raise StoreError(f"{file}: the file is empty: {LOST}")


def find_journals(file: Path) -> list[str]:
    """The journals with something in them, where SQLite looks for them: beside what a symbolic link leads to."""
    suffixes = []
    for suffix in JOURNALS:
        with suppress(OSError):
            if os.stat(os.path.realpath(file) + suffix).st_size:  # noqa: PTH116  (Path("/") has no name to add to)
                suffixes.append(suffix)
    return suffixes


def call_log_prefix(store: Path) -> str:
    """How the paths of a store's call logs begin, whatever symbolic link led to the store."""
    return os.path.realpath(store) + CALL_LOG
