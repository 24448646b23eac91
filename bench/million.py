"""What 1,000,000 events cost: the last that are stored beside the first, and the plan of a replay beside reading them.

Whatever is compared takes turns, so that a busy machine or disk slows all alike. `million.py 100000` takes fewer.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from shutil import rmtree
from uuid import UUID

import orjson

from evtool.events.envelopes import parse_event
from evtool.events.event import Event
from evtool.store.rows import NewDelivery
from evtool.store.store import Store

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
MEASURED = EVENTS // 10  # of the first events, and of the last
TURNS = 100
TOGETHER = 1_000  # events in a commit, as `evtool publish --no-deliver` has it
ALONE = 20  # events with a commit each, in every turn
BULK = 10_000  # events in a commit where nothing is measured
AND_ITS_MEMORY = """
import re, sys
from evtool.__main__ import main
try:
    main()
finally:  # what wait4 tells is that of whoever started it, if that is more
    print(re.search("VmHWM: *(.*) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""
FIRED = [NewDelivery("pay-for-order", "charge-card")]

Row = tuple[str, float, str, float, str]  # what, seconds, than what, seconds, and the goal


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def orders(count: int, random: Random) -> Iterator[Event]:
    """Copies of the shop's order with random ids."""
    order = json.loads(Path("samples/events/order-created.json").read_text(encoding="utf-8"))
    like = parse_event(json.dumps({**order, "id": "@"}).encode())
    for _ in range(count):
        name = str(UUID(int=random.getrandbits(128), version=4))
        yield like._replace(id=name, raw=like.raw.replace(b"@", name.encode(), 1))


def keep(store: Store, events: Sequence[Event], together: int) -> None:
    """Stores events, so many in a commit."""
    for start in range(0, len(events), together):
        with store.transaction():
            for event in events[start : start + together]:
                store.insert(event, FIRED, now=time.time_ns() // 1_000_000)


def append(log: int, events: Sequence[Event], together: int) -> None:
    """The least that keeps them: append, and fsync for so many."""
    for start in range(0, len(events), together):
        os.write(log, b"".join(event.raw + b"\n" for event in events[start : start + together]))
        os.fsync(log)


def growing(small: Store, big: Store, lines: Path, random: Random) -> Iterator[Row]:
    """Fills a store, then stores as many in an empty one by turns with the last of the full one."""
    with lines.open("ab") as file:
        for start in range(0, EVENTS - MEASURED, BULK):
            events = list(orders(min(BULK, EVENTS - MEASURED - start), random))
            keep(big, events, BULK)
            file.writelines(event.raw + b"\n" for event in events)
    took = {together: [0.0, 0.0, 0.0] for together in (TOGETHER, 1)}
    log = os.open(lines, os.O_WRONLY | os.O_APPEND)
    for _ in range(TURNS):
        for together, count in ((TOGETHER, MEASURED // TURNS - ALONE), (1, ALONE)):
            events = list(orders(count, random))
            took[together][0] += timed(lambda: append(log, events, together))  # noqa: B023
            took[together][1] += timed(lambda: keep(small, events, together))  # noqa: B023
            took[together][2] += timed(lambda: keep(big, events, together))  # noqa: B023
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
    """Seconds and kilobytes of memory that the plan of a replay takes, its start included."""
    command = [sys.executable, "-c", AND_ITS_MEMORY, "replay", "--store", str(store)]
    begun = time.perf_counter()
    ran = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - begun, int(ran.stderr)


def replaying(small: Path, big: Path, lines: Path) -> Iterator[Row]:
    """The plan of a replay, between two times that the same events are read and parsed."""
    floor, hard = timed(lambda: read(lines, json.loads)), timed(lambda: read(lines, orjson.loads))
    took, memory = replayed(big)
    _, few = replayed(small)
    floor += timed(lambda: read(lines, json.loads))
    hard += timed(lambda: read(lines, orjson.loads))
    what = f"replay (a plan) of {EVENTS:,} events"
    yield what, took, "reading JSON Lines with json.loads", floor / 2, ""
    yield what, took, "reading JSON Lines with orjson.loads", hard / 2, "<= 1.5"
    yield f"{what}, megabytes of memory", memory / 1024, f"{MEASURED:,}", few / 1024, "<= 1.1"


def main() -> None:
    """Prints the table."""
    folder = Path(tempfile.mkdtemp())
    small, big, lines = folder / "small.db", folder / "big.db", folder / "events.jsonl"
    with Store(small) as first, Store(big) as last:
        rows = list(growing(first, last, lines, Random(1)))
    rows += replaying(small, big, lines)
    rmtree(folder)
    print(f"{'':<60}{'seconds':>9}{'ratio':>8}{'goal':>9}")
    for what, took, than, least, goal in rows:
        print(f"{what:<60}{took:>9.2f}{took / least:>8.2f}{goal:>9}\n{f'  of {than}':<60}{least:>9.2f}{1:>8}")


if __name__ == "__main__":
    main()
