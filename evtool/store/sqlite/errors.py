"""Translates SQLite and file errors into messages that say what to do."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from evtool.errors import DamageError, StoreError

SAFE = "the stored events are safe"


@contextmanager
def translate_errors(file: Path, busy_timeout: float) -> Iterator[None]:
    """Turns errors of SQLite into StoreError. `busy_timeout` is the time in seconds that SQLite waited for a lock."""
    try:
        yield
    except apsw.FullError:
        raise StoreError(f"{file}: the disk is full; make room and try again, {SAFE}") from None
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as error:
        raise StoreError(f"{file}: {_describe_access_problem(file, error)}") from None
    except apsw.NotADBError:
        hint = "this is not a store of evtool, or its beginning is damaged; restore a backup, or name another: --store"
        raise StoreError(f"{file}: {hint}") from None
    # The statements are constants, so an SQL error means changed tables. evtool writes UTF-8 only, so a decoding error
    # means damaged pages.
    except (apsw.CorruptError, apsw.SQLError, UnicodeDecodeError) as error:
        raise damage_error(file, error) from None
    # All rows that evtool writes satisfy the constraints of an undamaged store.
    except apsw.ConstraintError as error:
        hint = "`evtool doctor` says where it is damaged; if it is not, please report this: it is a bug in evtool"
        raise DamageError(f"{file}: the store refuses a valid row ({error}): {hint}") from None
    except (apsw.BusyError, apsw.ProtocolError):
        hint = f"another process has kept the store locked for {busy_timeout:g} s; try again when it has ended, {SAFE}"
        raise StoreError(f"{file}: {hint}") from None
    except apsw.IOError as error:
        raise StoreError(f"{file}: the disk reports an error ({error}){_describe_size_limit()}; {SAFE}") from None


def damage_error(file: Path, cause: object) -> DamageError:
    """Returns the error for a damaged store, with the cause and the remedy."""
    return DamageError(f"{file}: the store is damaged ({cause}): `evtool doctor` says where; restore a backup")


def open_error(file: Path, error: OSError) -> StoreError:
    """Returns the error for a store that cannot be created or opened, with the reason and the remedy."""
    if os.path.islink(file) and not os.path.exists(file):
        problem = f"this is a symbolic link to {os.readlink(file)}, which does not exist; make it lead to a store"
        return StoreError(f"{file}: {problem}, or remove it")
    for folder in file.parents:
        if os.path.exists(folder) and not os.path.isdir(folder):
            return StoreError(f"{file}: {folder} is a file, not a folder; name another place with --store")
    return StoreError(f"{file}: {_describe_access_problem(file, error)}")


def _describe_access_problem(file: Path, error: Exception) -> str:
    """Says why a file cannot be opened or written, as far as permissions and the file system show it."""
    fallback = "or name another store with --store"
    existing_path = file
    while not os.path.exists(existing_path) and existing_path != existing_path.parent:
        existing_path = existing_path.parent
    if os.statvfs(existing_path).f_flag & os.ST_RDONLY:
        return f"its file system is read-only; mount it for writing, {fallback}"
    if os.path.isfile(existing_path) and not os.access(existing_path, os.R_OK | os.W_OK):
        return f"the file is read-only for you, or closed; see `ls -l` and change that with chmod or chown, {fallback}"
    if os.path.isdir(existing_path):
        folder = existing_path
    else:
        folder = existing_path.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is read-only for you; change that with chmod or chown, {fallback}"
    if isinstance(error, apsw.ReadOnlyError):
        return f"the store is read-only ({error}); mind the permissions of the file and its folder, {fallback}"
    return getattr(error, "strerror", None) or f"the store cannot be opened ({error})"


def _describe_size_limit() -> str:
    """Names the limit on the size of files, if there is one: SQLite reports it like a broken disk."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return ""
    return f": no file may grow beyond {limit:,} bytes here (ulimit -f)"
