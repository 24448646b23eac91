"""Translates SQLite and file errors into messages that say what to do."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from evtool.errors import DamageError, StoreError

SAFE = "what is stored is safe"


@contextmanager
def translate_errors(file: Path, busy_timeout: float) -> Iterator[None]:
    """What SQLite reports, as a StoreError. `busy_timeout` is how many seconds were waited for a lock."""
    try:
        yield
    except apsw.FullError:
        raise StoreError(f"{file}: the disk is full; make room and try again, {SAFE}") from None
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as error:
        raise StoreError(f"{file}: {_describe_access_problem(file, error)}") from None
    except apsw.NotADBError:
        hint = "this is not a store of evtool, or its beginning is damaged; restore a backup, or name another: --store"
        raise StoreError(f"{file}: {hint}") from None
    # the statements are constants: it is the tables that changed; and no text was written that is not UTF-8
    except (apsw.CorruptError, apsw.SQLError, UnicodeDecodeError) as error:
        raise damage_error(file, error) from None
    except apsw.ConstraintError as error:  # what is written fits a store that is well
        hint = "`evtool doctor` says where it is damaged; if it is not, please report this: it is a bug in evtool"
        raise DamageError(f"{file}: the store does not take what belongs in it ({error}): {hint}") from None
    except (apsw.BusyError, apsw.ProtocolError):
        hint = f"another process has kept the store locked for {busy_timeout:g} s; try again when it has ended, {SAFE}"
        raise StoreError(f"{file}: {hint}") from None
    except apsw.IOError as error:
        raise StoreError(f"{file}: the disk reports an error ({error}){_describe_size_limit()}; {SAFE}") from None


def damage_error(file: Path, cause: object) -> DamageError:
    """What is damaged in a store, and what to do about it."""
    return DamageError(f"{file}: the store is damaged ({cause}): `evtool doctor` says where; restore a backup")


def open_error(file: Path, error: OSError) -> StoreError:
    """Why a store cannot be made, or opened where something is."""
    if os.path.islink(file) and not os.path.exists(file):
        problem = f"this is a symbolic link to {os.readlink(file)}, which is not there; make it lead to a store"
        return StoreError(f"{file}: {problem}, or remove it")
    obstacle = next((folder for folder in file.parents if os.path.exists(folder) and not os.path.isdir(folder)), None)
    if obstacle is not None:
        return StoreError(f"{file}: {obstacle} is a file, not a folder; name another place with --store")
    return StoreError(f"{file}: {_describe_access_problem(file, error)}")


def _describe_access_problem(file: Path, error: Exception) -> str:
    """Why a file cannot be opened or written, as far as it can be seen from outside."""
    fallback = "or name another store with --store"
    existing_path = next((path for path in (file, *file.parents) if os.path.exists(path)), file)
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
    """A limit on the length of files looks like a broken disk: it is named if there is one."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return ""
    return f": no file may grow beyond {limit:,} bytes here (ulimit -f)"
