"""The files of a store: their names, and whether they exist. Imports no apsw, so that `validate` starts fast."""

import os
from contextlib import suppress
from pathlib import Path

from evtool.errors import StoreError

# The default folder of a store, inside the folder of the project.
DEFAULT_FOLDER = ".evtool"
WAL = "-wal"
# Suffixes of the files that contain committed pages, or undo uncommitted ones.
JOURNALS = (WAL, "-journal")
# Suffixes of all files that SQLite keeps beside a database.
SIDE_FILES = (WAL, "-shm", "-journal")
# A call log has this suffix and the name of the worker (see handlers/processes/call_log.py).
CALL_LOG = "-diary-"
LOST = "it never contained a store, or the store is lost; restore a backup"


def is_missing(file: Path) -> bool:
    """Whether neither the file of a store nor a journal of it exists. A file that cannot be used is not missing."""
    try:
        file.lstat()
    except FileNotFoundError:
        return not find_journals(file)
    except (OSError, ValueError):
        return False
    return False


def check_not_empty(file: Path) -> None:
    """Raises StoreError for an empty file, so that a command that only reads does not create a store in it."""
    if os.path.isfile(file) and os.path.getsize(file) == 0:  # noqa: PTH113, PTH202  (Path's raise for what is no name)
        raise StoreError(f"{file}: the file is empty: {LOST}")


def find_journals(file: Path) -> list[str]:
    """Returns the suffixes of the journals that are not empty. They lie beside the target of a symbolic link."""
    suffixes = []
    for suffix in JOURNALS:
        with suppress(OSError):
            if os.stat(os.path.realpath(file) + suffix).st_size:  # noqa: PTH116  (Path("/") has no name to add to)
                suffixes.append(suffix)
    return suffixes


def call_log_prefix(store: Path) -> str:
    """Returns the start of the paths of a store's call logs. They lie beside the target of a symbolic link."""
    return os.path.realpath(store) + CALL_LOG
