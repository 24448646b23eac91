"""Checks that a store belongs to the project before anything is delivered from it."""

import os
from pathlib import Path

from evtool.cli.session import Session
from evtool.errors import UsageError
from evtool.paths import display_path, is_file
from evtool.routes.project import Project
from evtool.store.store import Store


def claim_store(session: Session, store: Store, project: Project) -> None:
    """Records in the store which project it belongs to, and raises UsageError if it belongs to another one.

    A project is the folder of its routes.yaml. The store that routes.yaml names, or the default, always belongs to it,
    so a project may be moved or copied with its store. A store whose project does not exist any more is taken over.
    """
    routes_file = Path(os.path.realpath(project.file))
    owner = store.read_routes_file()
    if owner is not None and owner.parent == routes_file.parent:
        return
    if os.path.realpath(store.file) == os.path.realpath(project.store):
        store.write_routes_file(routes_file)
    elif owner is None:
        if store.last_seq() == 0:  # stores of earlier versions have events and no project: several may use them
            store.write_routes_file(routes_file)
    elif is_file(owner):
        raise UsageError(_describe_conflict(session, store, project, owner))
    else:
        session.print_note(f"the store was made for {owner}, which does not exist; from now on it is for {routes_file}")
        store.write_routes_file(routes_file)


def _describe_conflict(session: Session, store: Store, project: Project, owner: Path) -> str:
    remedy = "unset EVTOOL_STORE"
    if session.store:
        remedy = "leave out --store"
    return (
        f"{display_path(store.file)}: this store was made for {owner}; {project.file} would deliver its events by other"
        f" routes; {remedy} or name another store. To take the store over, write"
        f" `store: {os.path.realpath(store.file)}` into {project.display_name}"
    )
