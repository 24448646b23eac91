"""Measures the throughput of evtool as multiples of the minimal work or of another program, in the same run.

The events are copies of the shop's order with different ids. evtool runs as a process, and its start is included. The
minimal work is to parse and validate each event, or to append it to a file with an fsync.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jsonschema
import jsonschema_rs
import orjson
import referencing.jsonschema
from referencing import Registry

from evtool.commands.publish import BATCH_EVENTS

EVENTS = 100_000
# Lines that are appended with an fsync each; the time is scaled up.
STORED = 2_000
# Events for the slow jsonschema package; the time is scaled up.
PEER = 500

# The measured work, its seconds, the compared work, and its seconds.
Row = tuple[str, float, str, float]


def timed(work: Callable[[], object]) -> float:
    """Returns the seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def evtool(*arguments: str) -> float:
    """Returns the seconds of a run of evtool."""
    command = [str(Path(sys.executable).parent / "evtool"), *arguments]
    return timed(partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL))


def main() -> None:
    """Prints the table."""
    folder = Path(tempfile.mkdtemp())
    os.environ["EVTOOL_STORE"] = str(folder / "store.db")
    order = json.loads(Path("samples/events/order-created.json").read_text(encoding="utf-8"))
    lines = []
    for _ in range(EVENTS):
        event = order | {"id": str(uuid.uuid4())}
        lines.append(json.dumps(event).encode() + b"\n")
    many = folder / "many.jsonl"
    many.write_bytes(b"".join(lines))

    rows = validating(many, lines) + storing(many, lines, folder)
    print(f"{'':<58}{'seconds':>9}{'ratio':>8}")
    for what, took, than, least in rows:
        print(f"{what:<58}{took:>9.2f}{took / least:>8.2f}\n{f'  of {than}':<58}{least:>9.2f}{1:>8}")


def validating(file: Path, lines: list[bytes]) -> list[Row]:
    """Measures `validate` against a bare loop of the same parser and engine, and against the jsonschema package."""
    base = Path("samples/schemas").absolute()
    single, as_array = file.with_name("single.jsonl"), file.with_name("array.json")
    single.write_bytes(lines[0])
    as_array.write_bytes(b"[" + b",".join(lines) + b"]")
    schema = json.loads((base / "order.created.json").read_text(encoding="utf-8"))
    uri = (base / "order.created.json").as_uri()

    def read(target: str) -> dict[str, object]:
        document: dict[str, object] = json.loads(Path(target.removeprefix("file://")).read_text(encoding="utf-8"))
        return document

    judge = jsonschema_rs.validator_for(schema, validate_formats=True, base_uri=uri, retriever=read)
    registry: Registry[object] = Registry(
        retrieve=lambda target: referencing.jsonschema.DRAFT202012.create_resource(read(target))
    )
    peer = jsonschema.Draft202012Validator(
        schema | {"$id": uri}, registry=registry, format_checker=jsonschema.FormatChecker()
    )
    took = evtool("validate", str(file))
    start = evtool("validate", str(single))
    array = evtool("validate", str(as_array))
    fast_floor = timed(lambda: [judge.is_valid(orjson.loads(line)["detail"]) for line in lines])
    floor = timed(lambda: [judge.is_valid(json.loads(line)["detail"]) for line in lines])
    slow = timed(lambda: [list(peer.iter_errors(json.loads(line)["detail"])) for line in lines[:PEER]])
    return [
        (f"validate {len(lines):,} events", took, "json.loads and jsonschema-rs in a bare loop", floor),
        ("  the same without start-up", took - start, "orjson.loads and jsonschema-rs in a bare loop", fast_floor),
        ("  the same as an array", array - start, "orjson.loads and jsonschema-rs in a bare loop", fast_floor),
        (
            f"validate {len(lines):,} events",
            took,
            f"the jsonschema package, from {PEER} events",
            slow * len(lines) / PEER,
        ),
    ]


def storing(file: Path, lines: list[bytes], folder: Path) -> list[Row]:
    """Measures `publish` without delivery against an append and fsync for each event, and for each batch."""

    def append(lines: list[bytes], together: int) -> None:
        with (folder / "floor.log").open("ab", buffering=0) as log:
            for start in range(0, len(lines), together):
                log.write(b"".join(lines[start : start + together]))
                os.fsync(log.fileno())

    took = evtool("publish", "--no-deliver", "-o", "jsonl", str(file))
    what = f"publish --no-deliver {len(lines):,} events"
    single = timed(partial(append, lines[:STORED], 1))
    return [
        (what, took, f"append and fsync for each, from {STORED:,}", single * len(lines) / STORED),
        (what, took, f"append and fsync for {BATCH_EVENTS}", timed(partial(append, lines, BATCH_EVENTS))),
    ]


if __name__ == "__main__":
    main()
