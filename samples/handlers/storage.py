"""Where the shop keeps its things: one folder, small SQLite databases in it, and files that are written whole."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any


def folder(name: str = "") -> Path:
    """A folder of the shop's data, made if it is not there. Handlers run in the folder that routes.yaml is in."""
    path = Path(os.environ.get("SHOP_DATA") or "samples/.data") / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def database(name: str, table: str) -> Iterator[sqlite3.Connection]:
    """One transaction on a database of the shop, which has `table`; committed at the end, rolled back on an error."""
    with closing(sqlite3.connect(folder() / f"{name}.db", timeout=10)) as connection, connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        yield connection


def identity(event: dict[str, Any]) -> str:
    """64 hexadecimal digits that name an event: the same for the same source and id, whatever these contain."""
    return sha256(json.dumps([event["source"], event["id"]]).encode()).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that others see all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(path)
