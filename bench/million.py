"""Measures 1,000,000 events: storing the last ones against the first ones, and the plan of a replay against reading.

The compared work alternates, so that a busy machine or disk slows all alike. `million.py 100000` uses fewer events.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from shutil import rmtree
from uuid import UUID

import orjson

from evtool.events.envelopes import parse_event
from evtool.events.event import Event
from evtool.store.rows import NewDelivery
from evtool.store.store import Store

EVENTS = 1_000_000
if len(sys.argv) > 1:
    EVENTS = int(sys.argv[1])
# The number of measured events at the beginning, and at the end.
MEASURED = EVENTS // 10
TURNS = 100
# Events in a commit, as in `evtool publish --no-deliver`.
TOGETHER = 1_000
# Events with one commit each, in every turn.
ALONE = 20
# Events in a commit that is not measured.
BULK = 10_000
AND_ITS_MEMORY = """
import re, sys
from evtool.__main__ import main
try:
    main()
finally:  # wait4 returns the peak of the parent process if that is larger
    print(re.search("VmHWM: *(.*) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""
FIRED = [NewDelivery("pay-for-order", "charge-card")]

# The measured work, its seconds, the compared work, its seconds, and the goal of the ratio.
Row = tuple[str, float, str, float, str]


def timed(work: Callable[[], object]) -> float:
    """Returns the seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def orders(count: int, random: Random) -> Iterator[Event]:
    """Yields copies of the shop's order with random ids."""
    order = json.loads(Path("samples/events/order-created.json").read_text(encoding="utf-8"))
    like = parse_event(json.dumps(order | {"id": "@"}).encode())
    for _ in range(count):
        name = str(UUID(int=random.getrandbits(128), version=4))
        yield like._replace(id=name, raw=like.raw.replace(b"@", name.encode(), 1))


def keep(store: Store, events: Sequence[Event], together: int) -> None:
    """Stores events with `together` events in a commit."""
    for start in range(0, len(events), together):
        with store.transaction():
            for event in events[start : start + together]:
                store.insert(event, FIRED, now=time.time_ns() // 1_000_000)


def append(log: int, events: Sequence[Event], together: int) -> None:
    """Does the minimal work for the same: appends events to a file, with an fsync for `together` events."""
    for start in range(0, len(events), together):
        os.write(log, b"".join(event.raw + b"\n" for event in events[start : start + together]))
        os.fsync(log)


def growing(small: Store, big: Store, lines: Path, random: Random) -> Iterator[Row]:
    """Fills a large store, then stores the same number of events in an empty store and in the large one, in turns."""
    with lines.open("ab") as file:
        for start in range(0, EVENTS - MEASURED, BULK):
            events = list(orders(min(BULK, EVENTS - MEASURED - start), random))
            keep(big, events, BULK)
            file.writelines(event.raw + b"\n" for event in events)
    took = {TOGETHER: [0.0, 0.0, 0.0], 1: [0.0, 0.0, 0.0]}
    log = os.open(lines, os.O_WRONLY | os.O_APPEND)
    for _ in range(TURNS):
        for together, count in ((TOGETHER, MEASURED // TURNS - ALONE), (1, ALONE)):
            events = list(orders(count, random))
            took[together][0] += timed(partial(append, log, events, together))
            took[together][1] += timed(partial(keep, small, events, together))
            took[together][2] += timed(partial(keep, big, events, together))
    os.close(log)
    for together, what, goal in ((TOGETHER, f"{TOGETHER} in a commit", 1.3), (1, "a commit each", 1.3)):
        floor, first, last = took[together]
        yield f"store the last of {EVENTS:,} events, {what}", last, "the first", first, f"<= {goal}"
        yield f"store the first, {what}", first, "append and fsync", floor, ""


def read(lines: Path, loads: Callable[[bytes], object]) -> None:
    """Reads and parses JSON Lines."""
    with lines.open("rb") as file:
        for line in file:
            loads(line)


def replayed(store: Path) -> tuple[float, int]:
    """Returns the seconds and the kilobytes of memory of the plan of a replay, including the start."""
    command = [sys.executable, "-c", AND_ITS_MEMORY, "replay", "--store", str(store)]
    started = time.perf_counter()
    ran = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - started, int(ran.stderr)


def replaying(small: Path, big: Path, lines: Path) -> Iterator[Row]:
    """Measures the plan of a replay, between two runs that read and parse the same events."""
    floor = timed(partial(read, lines, json.loads))
    hard = timed(partial(read, lines, orjson.loads))
    took, memory = replayed(big)
    _, few = replayed(small)
    floor += timed(partial(read, lines, json.loads))
    hard += timed(partial(read, lines, orjson.loads))
    what = f"replay (a plan) of {EVENTS:,} events"
    yield what, took, "reading JSON Lines with json.loads", floor / 2, ""
    yield what, took, "reading JSON Lines with orjson.loads", hard / 2, "<= 1.5"
    yield f"{what}, megabytes of memory", memory / 1024, f"{MEASURED:,}", few / 1024, "<= 1.1"


def main() -> None:
    """Prints the table."""
    folder = Path(tempfile.mkdtemp())
    small = folder / "small.db"
    big = folder / "big.db"
    lines = folder / "events.jsonl"
    with Store(small) as first, Store(big) as last:
        rows = list(growing(first, last, lines, Random(1)))
    rows += replaying(small, big, lines)
    rmtree(folder)
    print(f"{'':<60}{'seconds':>9}{'ratio':>8}{'goal':>9}")
    for what, took, than, least, goal in rows:
        print(f"{what:<60}{took:>9.2f}{took / least:>8.2f}{goal:>9}\n{f'  of {than}':<60}{least:>9.2f}{1:>8}")


if __name__ == "__main__":
    main()
