"""The order database on this machine, which the shop uses without a DATABASE_URL."""

import json
from typing import Any

from samples.handlers.storage import database, identity

ORDERS = "orders (order_id TEXT PRIMARY KEY, event TEXT, placed_at TEXT, status TEXT, detail TEXT)"


def place(event: dict[str, Any]) -> None:
    """Store an order once, even if its event arrives several times."""
    order = event["detail"]
    row = (order["orderId"], identity(event), event["time"], "placed", json.dumps(order))
    with database("orders", ORDERS) as orders:
        orders.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?)", row)


def set_status(order_id: str, status: str) -> None:
    """Set the state of an order: placed, paid or declined."""
    with database("orders", ORDERS) as orders:
        orders.execute("UPDATE orders SET status = ? WHERE order_id = ?", (status, order_id))


def find(order_id: str) -> dict[str, Any] | None:
    """Return the order as the customer placed it."""
    with database("orders", ORDERS) as orders:
        row = orders.execute("SELECT detail FROM orders WHERE order_id = ?", (order_id,)).fetchone()
    return None if row is None else json.loads(row[0])
