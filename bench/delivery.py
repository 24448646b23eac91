"""Measures how fast events are stored and delivered to a warm Python worker, compared with the minimal work for it.

Both sides alternate, so that a busy machine or disk slows both alike. The goals are those of the ratios.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from io import FileIO
from pathlib import Path
from random import Random

from evtool.delivery import pool_thread
from evtool.delivery.loop import deliver
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment, Runtime
from evtool.events.envelopes import parse_event
from evtool.events.event import Event
from evtool.handlers.base import Call
from evtool.routes import routes
from evtool.routes.project import require_project
from evtool.schemas.validation import Rules
from evtool.store.rows import NewDelivery
from evtool.store.store import Store

DELIVERIES = 50_000
# The goal, in deliveries per second.
GOAL = 10_000
# Deliveries with one commit each, and events that are stored with one commit each.
SINGLE = 2_000
# Events that the command publishes, including its start.
PUBLISHED = 20_000
# Events before the other side of a comparison has its turn.
TURN = 200
ROUTES = """
version: 1
handlers: {nothing: {python: "work.py:nothing"}}
routes: {all: {pattern: {source: [{prefix: ""}]}, to: [nothing]}}
"""


def timed(work: Callable[[], object]) -> float:
    """Returns the seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def orders(count: int) -> list[Event]:
    """Returns copies of the shop's order with different ids."""
    order = json.loads(Path("samples/events/order-created.json").read_text(encoding="utf-8"))
    events = []
    for _ in range(count):
        document = order | {"id": str(uuid.uuid4())}
        events.append(parse_event(json.dumps(document).encode()))
    return events


def stored(file: Path, events: Iterable[Event]) -> Path:
    """Creates a store with events that wait for their delivery. Returns its path."""
    with Store(file) as store, store.transaction():
        for event in events:
            store.insert(event, [NewDelivery("all", "nothing")], now=1_000)
    return file


def through_evtool(file: Path, folder: Path) -> None:
    """Delivers with the command, including its start."""
    command = [str(Path(sys.executable).parent / "evtool"), "deliver", "-o", "jsonl", "--store", str(file)]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def read_clock() -> int:
    """Returns the time in milliseconds."""
    return time.time_ns() // 1_000_000


def one_by_one(file: Path, folder: Path) -> None:
    """Delivers with one commit for each delivery."""
    pool_thread.MAX_BATCH = 1
    known = routes.load_routes(require_project(str(folder / "routes.yaml")))
    environment = Environment(read_clock, Random(1), "bench", Rules(None))
    with (
        Store(file) as store,
        HandlerPool(known) as handlers,
        closing(deliver(Runtime(store, known, handlers, environment))) as settled,
    ):
        assert sum(1 for _ in settled) == SINGLE


def without_store(events: list[Event], folder: Path) -> None:
    """Calls the warm worker with as many calls ahead as evtool makes, without a store."""
    known = routes.load_routes(require_project(str(folder / "routes.yaml")))
    calls = [Call(event.raw, event.id, event.type, "all", 1) for event in events]
    with closing(known.handlers["nothing"].open()) as handler:  # type: ignore[type-var]
        for start in range(0, len(calls), 250):
            for _ in handler.call_many(calls[start : start + 250], 1e9):  # type: ignore[attr-defined]
                pass


def keeping(folder: Path) -> tuple[float, float, float]:
    """Returns the seconds for events with one commit each: append and fsync, insert, and insert with a delivery."""
    events = orders(SINGLE * 2)
    appended = 0.0
    inserted = 0.0
    routed = 0.0
    # A program that stores events one by one does not hold thousands, which the garbage collector would inspect.
    gc.freeze()
    with Store(folder / "keep.db") as store, (folder / "floor.log").open("ab", buffering=0) as log:
        for start in range(0, SINGLE, TURN):
            turn = events[start : start + TURN]
            appended += timed(partial(append_each, log, turn))
            inserted += timed(partial(insert_each, store, turn, []))
            turn = events[SINGLE + start : SINGLE + start + TURN]
            routed += timed(partial(insert_each, store, turn, [NewDelivery("r", "h")]))
    return appended, inserted, routed


def append_each(log: FileIO, events: list[Event]) -> None:
    """Appends events to a file, with an fsync for each."""
    for event in events:
        log.write(event.raw + b"\n")
        os.fsync(log.fileno())


def insert_each(store: Store, events: list[Event], deliveries: list[NewDelivery]) -> None:
    """Stores events, with a commit for each."""
    for event in events:
        store.insert(event, deliveries, now=1)


def publishing(folder: Path, events: list[Event]) -> tuple[float, float, float]:
    """Returns the seconds for lines: append and fsync for each, `evtool publish` of a file, and of a pipe."""
    lines = folder / "events.jsonl"
    evtool = str(Path(sys.executable).parent / "evtool")
    lines.write_bytes(b"".join(event.raw + b"\n" for event in events))

    def append() -> None:
        with (folder / "appended.log").open("ab", buffering=0) as log:
            append_each(log, events)

    def publish(store: str, source: str) -> None:
        command = [evtool, "publish", "--no-deliver", source, "-o", "jsonl", "--store", store]
        with lines.open("rb") as stdin:
            subprocess.run(command, check=True, cwd=folder, stdin=stdin, stdout=subprocess.DEVNULL)

    before = timed(append)
    file = timed(partial(publish, "file.db", str(lines)))
    pipe = timed(partial(publish, "pipe.db", "-"))
    return (before + timed(append)) / 2, file, pipe


def main() -> None:
    """Prints the table."""
    folder = Path(tempfile.mkdtemp())
    (folder / "work.py").write_text("def nothing(event, context):\n    pass\n", encoding="utf-8")
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    append, kept, routed = keeping(folder)
    events = orders(DELIVERIES)
    appended, file, pipe = publishing(folder, events[:PUBLISHED])
    many = stored(folder / "many.db", events)
    few = stored(folder / "few.db", events[:SINGLE])
    bare = timed(partial(without_store, events, folder))
    took = timed(partial(through_evtool, many, folder))
    single = timed(partial(one_by_one, few, folder)) * DELIVERIES / SINGLE
    # The measured work, its seconds, the compared work, its seconds, and the goal of the ratio.
    rows = (
        (f"keep {SINGLE:,} events, a commit each", kept, "append and fsync for each", append, 0.7),
        (f"keep {SINGLE:,} with a delivery each", routed, "append and fsync for each", append, None),
        (f"evtool publish, {PUBLISHED:,} lines of a file", file, "append and fsync for each", appended, 0.7),
        (f"evtool publish, {PUBLISHED:,} lines of a stream", pipe, "append and fsync for each", appended, 0.7),
        (f"deliver {DELIVERIES:,} events", took, "the worker alone, without a store", bare, None),
        (f"deliver {DELIVERIES:,} events", took, f"a commit for each, from {SINGLE:,}", single, 10.0),
    )
    print(f"{'':<52}{'seconds':>9}{'as fast':>9}{'goal':>9}")
    for what, seconds, than, least, goal in rows:
        shown_goal = ""
        if goal:
            shown_goal = f">= {goal:g}"
        print(f"{what:<52}{seconds:>9.2f}{least / seconds:>8.2f}x{shown_goal:>9}\n{f'  as {than}':<52}{least:>9.2f}")
    print(f"{DELIVERIES / took:,.0f} deliveries a second; the goal is {GOAL:,}")


if __name__ == "__main__":
    main()
