"""The polling system: a script that queries the order table for new orders at regular intervals.

    python samples/polling/poller.py ORDERS.db --interval 10

The table is `orders (id, placed_at, status)`. It is the whole system: without a query nothing happens, and a query asks
whether or not there is anything to do.
"""

import argparse
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Protocol

TABLE = """
CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, placed_at REAL NOT NULL, status TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS new_orders ON orders (placed_at) WHERE status = 'new';
"""
FIND_WORK = "SELECT id FROM orders WHERE status = 'new' ORDER BY placed_at LIMIT ?"
MARK_DONE = "UPDATE orders SET status = 'done' WHERE id = ?"


class Clock(Protocol):
    """A clock: the `time` module, or a simulation of it."""

    def monotonic(self) -> float:
        """Returns seconds since an arbitrary moment."""

    def sleep(self, seconds: float, /) -> None:
        """Waits for this time."""


def poll(
    orders: sqlite3.Connection, handle: Callable[[int], None], clock: Clock, interval: float, batch: int
) -> Iterator[int]:
    """Handle up to `batch` new orders every `interval` seconds. Yields the number of orders of each query."""
    due = clock.monotonic()
    while True:
        found = orders.execute(FIND_WORK, (batch,)).fetchall()
        for (order,) in found:
            handle(order)
            with orders:
                orders.execute(MARK_DONE, (order,))
        yield len(found)
        now = clock.monotonic()
        # After a batch that took longer than the interval, the next one starts immediately.
        due = max(due + interval, now)
        clock.sleep(due - now)


def main() -> None:
    """Poll a real database in real time, until interrupted."""
    parser = argparse.ArgumentParser(description="Work through new orders, found by polling.")
    parser.add_argument("database")
    parser.add_argument("--interval", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--batch", type=int, default=50)
    options = parser.parse_args()
    orders = sqlite3.connect(options.database)
    orders.executescript(TABLE)
    for found in poll(orders, lambda order: print(f"order {order}"), time, options.interval, options.batch):
        print(f"{found} new orders")


if __name__ == "__main__":
    main()
