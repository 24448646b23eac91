"""Measures the cost of polling: a poller finds the orders, or a handler is called as they arrive.

    python samples/polling/compare.py

An hour of orders with a spike in the middle passes on a clock of its own, so that a run takes a second and always says
the same. The order table, the queries and the poller are real (poller.py); how long an order takes is an assumption.
"""

import argparse
import random
import sqlite3
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from poller import TABLE, poll

HOUR = 3600.0
# The minute after a newsletter, in the middle of the hour.
SPIKE = (1800.0, 1860.0)
INTERVALS = (60, 10, 1)


class Day(NamedTuple):
    """A scenario: the times of the orders and the time to handle an order, in seconds."""

    arrivals: Sequence[float]
    service: float


class Measured(NamedTuple):
    """The result of a system: the seconds that each order waited for its handler, and the orders of each query."""

    system: str
    waits: Sequence[float]
    found: Sequence[int]


class SimulatedClock:
    """A simulated clock. Time passes only in `sleep`, and meanwhile customers insert their orders."""

    def __init__(self, orders: sqlite3.Connection, arrivals: Sequence[float]):
        self._orders = orders
        self._coming = list(enumerate(arrivals))[::-1]
        self._now = 0.0

    def monotonic(self) -> float:
        """Returns the seconds since the start of the hour."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Lets this time pass."""
        self._now += seconds
        while self._coming and self._coming[-1][1] <= self._now:
            with self._orders:
                self._orders.execute("INSERT INTO orders VALUES (?, ?, 'new')", self._coming.pop())


def arrivals(seed: int, usual: int, spike: int) -> list[float]:
    """Returns the times of the orders: `usual` ones in the whole hour, and `spike` more within one minute."""
    chance = random.Random(seed)
    return sorted([chance.uniform(0, HOUR) for _ in range(usual)] + [chance.uniform(*SPIKE) for _ in range(spike)])


def polling(day: Day, interval: float, batch: int) -> Measured:
    """Simulates the hour with a poller."""
    orders = sqlite3.connect(":memory:")
    orders.executescript(TABLE)
    clock = SimulatedClock(orders, day.arrivals)
    waits: list[float] = []

    def handle(order: int) -> None:
        waits.append(clock.monotonic() - day.arrivals[order])
        clock.sleep(day.service)

    found = []
    for count in poll(orders, handle, clock, interval, batch):
        found.append(count)
        if clock.monotonic() >= HOUR and len(waits) == len(day.arrivals):
            break
    orders.close()
    return Measured(f"polling every {interval:g} s", waits, found)


def event_driven(day: Day) -> Measured:
    """Simulates the hour with a handler that is called for each order. Orders wait only while it is busy."""
    waits = []
    free_at = 0.0
    for arrival in day.arrivals:
        begins = max(arrival, free_at)
        waits.append(begins - arrival)
        free_at = begins + day.service
    return Measured("event-driven", waits, [])


def table(measured: Sequence[Measured]) -> str:
    """Returns the results as Markdown."""
    lines = [
        "| system | orders | median wait | worst wait | queries | found nothing |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {m.system} | {len(m.waits)} | {median(m.waits):.1f} s | {max(m.waits):.1f} s "
        f"| {len(m.found)} | {m.found.count(0)} |"
        for m in measured
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table for the hour that the options describe."""
    parser = argparse.ArgumentParser(description="What polling costs, against an event-driven system.")
    parser.add_argument("--usual", type=int, default=300, help="orders spread over the hour (300)")
    parser.add_argument("--spike", type=int, default=200, help="orders in the minute of the spike (200)")
    parser.add_argument("--service", type=float, default=0.5, help="seconds that an order takes (0.5)")
    parser.add_argument("--batch", type=int, default=50, help="orders that one query takes at most (50)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    day = Day(arrivals(options.seed, options.usual, options.spike), options.service)
    print(table([*(polling(day, interval, options.batch) for interval in INTERVALS), event_driven(day)]))


if __name__ == "__main__":
    main()
