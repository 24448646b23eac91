"""How fast events are stored and delivered to a warm Python worker, beside the least that has to be done, in one run.

Every pair takes turns, so that a busy machine or disk slows both alike. The goals are those of the ratios.
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
WANTED = 10_000  # deliveries a second
SINGLE = 2_000  # deliveries with a commit each, and events that are stored with one each
PUBLISHED = 20_000  # events that go through the command, its start included
TURN = 200  # events until the other of a pair has its turn
ROUTES = """
version: 1
handlers: {nothing: {python: "work.py:nothing"}}
routes: {all: {pattern: {source: [{prefix: ""}]}, to: [nothing]}}
"""


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def orders(count: int) -> list[Event]:
    """Copies of the shop's order with ids of their own."""
    order = json.loads(Path("samples/events/order-created.json").read_text(encoding="utf-8"))
    return [parse_event(json.dumps({**order, "id": str(uuid.uuid4())}).encode()) for _ in range(count)]


def stored(file: Path, events: Iterable[Event]) -> Path:
    """A new store with events that wait for their delivery."""
    with Store(file) as store, store.transaction():
        for event in events:
            store.insert(event, [NewDelivery("all", "nothing")], now=1_000)
    return file


def through_evtool(file: Path, folder: Path) -> None:
    """Delivers with the command, its start included."""
    command = [str(Path(sys.executable).parent / "evtool"), "deliver", "-o", "jsonl", "--store", str(file)]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def one_by_one(file: Path, folder: Path) -> None:
    """Delivers with a commit for each."""
    pool_thread.MAX_BATCH = 1
    known = routes.load_routes(require_project(str(folder / "routes.yaml")))
    world = Environment(lambda: time.time_ns() // 1_000_000, Random(1), "bench", Rules(None))
    with (
        Store(file) as store,
        HandlerPool(known) as handlers,
        closing(deliver(Runtime(store, known, handlers, world))) as settled,
    ):
        assert sum(1 for _ in settled) == SINGLE


def without_store(events: list[Event], folder: Path) -> None:
    """Calls the warm worker, as many calls ahead as evtool has, and nothing else."""
    known = routes.load_routes(require_project(str(folder / "routes.yaml")))
    calls = [Call(event.raw, event.id, event.type, "all", 1) for event in events]
    with closing(known.handlers["nothing"].open()) as handler:  # type: ignore[type-var]
        for start in range(0, len(calls), 250):
            for _ in handler.call_many(calls[start : start + 250], 1e9):  # type: ignore[attr-defined]
                pass


def keeping(folder: Path) -> tuple[float, float, float]:
    """Seconds for events with a commit each: append and fsync, `Store.insert`, and that with a delivery."""
    events, took = orders(SINGLE * 2), [0.0, 0.0, 0.0]
    gc.freeze()  # whoever stores events one by one does not hold thousands, which would be looked at for garbage
    with Store(folder / "keep.db") as store, (folder / "floor.log").open("ab", buffering=0) as log:
        for start in range(0, SINGLE, TURN):
            alone, routed = events[start : start + TURN], events[SINGLE + start : SINGLE + start + TURN]
            took[0] += timed(lambda: [(log.write(e.raw + b"\n"), os.fsync(log.fileno())) for e in alone])  # noqa: B023
            took[1] += timed(lambda: [store.insert(e, [], now=1) for e in alone])  # noqa: B023
            took[2] += timed(lambda: [store.insert(e, [NewDelivery("r", "h")], now=1) for e in routed])  # noqa: B023
    return took[0], took[1], took[2]


def publishing(folder: Path, events: list[Event]) -> tuple[float, float, float]:
    """Seconds for events, each a line: append and fsync for each; `evtool publish` of the file, and of a pipe."""
    lines, evtool = folder / "events.jsonl", str(Path(sys.executable).parent / "evtool")
    lines.write_bytes(b"".join(event.raw + b"\n" for event in events))

    def append() -> None:
        with (folder / "appended.log").open("ab", buffering=0) as log:
            for event in events:
                log.write(event.raw + b"\n")
                os.fsync(log.fileno())

    def publish(store: str, what: str) -> None:
        command = [evtool, "publish", "--no-deliver", what, "-o", "jsonl", "--store", store]
        with lines.open("rb") as stdin:
            subprocess.run(command, check=True, cwd=folder, stdin=stdin, stdout=subprocess.DEVNULL)

    before = timed(append)
    file, pipe = timed(lambda: publish("file.db", str(lines))), timed(lambda: publish("pipe.db", "-"))
    return (before + timed(append)) / 2, file, pipe


def main() -> None:
    """Prints the table."""
    folder = Path(tempfile.mkdtemp())
    (folder / "work.py").write_text("def nothing(event, context):\n    pass\n", encoding="utf-8")
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    append, kept, routed = keeping(folder)
    events = orders(DELIVERIES)
    appended, file, pipe = publishing(folder, events[:PUBLISHED])
    many, few = stored(folder / "many.db", events), stored(folder / "few.db", events[:SINGLE])
    bare = timed(lambda: without_store(events, folder))
    took = timed(lambda: through_evtool(many, folder))
    single = timed(lambda: one_by_one(few, folder)) * DELIVERIES / SINGLE
    rows = (  # what, seconds, than what, seconds, and how many times as fast it should be
        (f"keep {SINGLE:,} events, a commit each", kept, "append and fsync for each", append, 0.7),
        (f"keep {SINGLE:,} with a delivery each", routed, "append and fsync for each", append, None),
        (f"evtool publish, {PUBLISHED:,} lines of a file", file, "append and fsync for each", appended, 0.7),
        (f"evtool publish, {PUBLISHED:,} lines of a stream", pipe, "append and fsync for each", appended, 0.7),
        (f"deliver {DELIVERIES:,} events", took, "the worker alone, without a store", bare, None),
        (f"deliver {DELIVERIES:,} events", took, f"a commit for each, from {SINGLE:,}", single, 10.0),
    )
    print(f"{'':<52}{'seconds':>9}{'as fast':>9}{'goal':>9}")
    for what, seconds, than, least, goal in rows:
        wanted = f">= {goal:g}" if goal else ""
        print(f"{what:<52}{seconds:>9.2f}{least / seconds:>8.2f}x{wanted:>9}\n{f'  as {than}':<52}{least:>9.2f}")
    print(f"{DELIVERIES / took:,.0f} deliveries a second; the goal is {WANTED:,}")


if __name__ == "__main__":
    main()
