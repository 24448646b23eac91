"""Storage of the shop: a folder with small SQLite databases, and files that are written atomically."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any


def folder(name: str = "") -> Path:
    """Return a folder of the shop's data, and create it if necessary. Handlers run in the folder of routes.yaml."""
    path = Path(os.environ.get("SHOP_DATA") or "samples/.data") / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def database(name: str, table: str) -> Iterator[sqlite3.Connection]:
    """Run a transaction on a database that has `table`. Commit at the end, roll back after an error."""
    with closing(sqlite3.connect(folder() / f"{name}.db", timeout=10)) as connection, connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        yield connection


def identity(event: dict[str, Any]) -> str:
    """Return 64 hexadecimal digits that identify an event. They depend only on its source and id."""
    return sha256(json.dumps([event["source"], event["id"]]).encode()).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that other programs see the whole content or no file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(path)
