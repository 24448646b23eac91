"""Checks that a store belongs to the project before anything is delivered from it."""

import os
from pathlib import Path

from evtool.cli.session import Session
from evtool.errors import UsageError
from evtool.paths import display_path, is_file
from evtool.routes.project import Project
from evtool.store.store import Store


def claim_store(session: Session, store: Store, project: Project) -> None:
    """Records in the store which project it belongs to. Raises UsageError if it belongs to another project.

    A project is the folder of its routes.yaml. Without this check, a mistyped --store or a forgotten EVTOOL_STORE would
    deliver the events of one project to the handlers of another one.
    """
    routes_file = Path(os.path.realpath(project.file))
    owner = store.read_routes_file()
    if owner is not None and owner.parent == routes_file.parent:
        return
    # The store that routes.yaml names, or the default, always belongs to its project: both may be moved or copied.
    if os.path.realpath(store.file) == os.path.realpath(project.store):
        store.write_routes_file(routes_file)
    elif owner is None:
        # Stores of earlier versions record no project. One that has events may be shared, so that nobody claims it.
        if store.last_seq() == 0:
            store.write_routes_file(routes_file)
    elif is_file(owner):
        raise UsageError(_describe_conflict(session, store, project, owner))
    else:
        session.print_note(f"the store was made for {owner}, which does not exist; it now belongs to {routes_file}")
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
