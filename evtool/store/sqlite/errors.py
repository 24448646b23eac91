"""Faults: what goes wrong with the store's file, in a line that says what to do about it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from evtool.errors import DamageError, StoreError

SAFE = "what is stored is safe"


@contextmanager
def store_errors(file: Path, busy: float) -> Iterator[None]:
    """What SQLite reports, as a StoreError. `busy` is how many seconds were waited for a lock."""
    try:
        yield
    except apsw.FullError:
        raise StoreError(f"{file}: the disk is full; make room and try again, {SAFE}") from None
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as error:
        raise StoreError(f"{file}: {_closed(file, error)}") from None
    except apsw.NotADBError:
        told = "this is not a store of evtool, or its beginning is damaged; restore a backup, or name another: --store"
        raise StoreError(f"{file}: {told}") from None
    # the statements are constants: it is the tables that changed; and no text was written that is not UTF-8
    except (apsw.CorruptError, apsw.SQLError, UnicodeDecodeError) as error:
        raise damage(file, error) from None
    except apsw.ConstraintError as error:  # what is written fits a store that is well
        told = "`evtool doctor` says where it is damaged; if it is not, please report this: it is a bug in evtool"
        raise DamageError(f"{file}: the store does not take what belongs in it ({error}): {told}") from None
    except (apsw.BusyError, apsw.ProtocolError):
        told = f"another process has kept the store locked for {busy:g} s; try again when it has ended, {SAFE}"
        raise StoreError(f"{file}: {told}") from None
    except apsw.IOError as error:
        raise StoreError(f"{file}: the disk reports an error ({error}){_limit()}; {SAFE}") from None


def damage(file: Path, what: object) -> DamageError:
    """What is damaged in a store, and what to do about it."""
    return DamageError(f"{file}: the store is damaged ({what}): `evtool doctor` says where; restore a backup")


def making_errors(file: Path, error: OSError) -> StoreError:
    """Why a store cannot be made, or opened where something is."""
    if os.path.islink(file) and not os.path.exists(file):
        told = f"this is a symbolic link to {os.readlink(file)}, which is not there; make it lead to a store"
        return StoreError(f"{file}: {told}, or remove it")
    blocked = next((folder for folder in file.parents if os.path.exists(folder) and not os.path.isdir(folder)), None)
    if blocked is not None:
        return StoreError(f"{file}: {blocked} is a file, not a folder; name another place with --store")
    return StoreError(f"{file}: {_closed(file, error)}")


def _closed(file: Path, error: Exception) -> str:
    """Why a file cannot be opened or written, as far as it can be seen from outside."""
    other = "or name another store with --store"
    there = next((path for path in (file, *file.parents) if os.path.exists(path)), file)
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"its file system is read-only; mount it for writing, {other}"
    if os.path.isfile(there) and not os.access(there, os.R_OK | os.W_OK):
        return f"the file is read-only for you, or closed; see `ls -l` and change that with chmod or chown, {other}"
    folder = there if os.path.isdir(there) else there.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is read-only for you; change that with chmod or chown, {other}"
    if isinstance(error, apsw.ReadOnlyError):
        return f"the store is read-only ({error}); mind the permissions of the file and its folder, {other}"
    return getattr(error, "strerror", None) or f"the store cannot be opened ({error})"


def _limit() -> str:
    """A limit on the length of files looks like a broken disk: it is named if there is one."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return ""
    return f": no file may grow beyond {limit:,} bytes here (ulimit -f)"
