"""Takes payment for an order that was placed, and tells how that went: payment.authorized or payment.declined."""

from typing import Any

from samples.handlers.processor import charge
from samples.handlers.storage import database

ORDERS = """orders (
    order_id TEXT PRIMARY KEY, event_id TEXT, placed_at TEXT, email TEXT, total REAL, currency TEXT, status TEXT
)"""


def authorize(event: dict[str, Any], context: Any) -> None:
    """Keep the order, charge it, and emit the answer. The same event again charges nobody twice."""
    order = event["detail"]
    customer = order["shipTo"][0]["address"]
    _keep(event["id"], event["time"], order, customer["email"])

    answer = charge(
        key=f"{event['source']}/{event['id']}",
        amount=round(order["orderTotal"] * 100),
        currency=order["orderCurrency"],
        order_id=order["orderId"],
    )
    _set_status(order["orderId"], "declined" if answer.declined else "paid")

    outcome = {
        "orderId": order["orderId"],
        "total": order["orderTotal"],
        "currency": order["orderCurrency"],
        "name": customer["name"],
        "email": customer["email"],
    }
    if answer.declined:
        context.emit("payment.declined", outcome | {"reason": answer.declined}, source="shop.payments")
        return
    items = [{"itemId": item["itemId"], "quantity": item["quantity"]} for item in order["items"]]
    paid = outcome | {"paymentId": answer.id, "items": items, "shipTo": order["shipTo"]}
    context.emit("payment.authorized", paid, source="shop.payments")


def _keep(event_id: str, placed_at: str, order: dict[str, Any], email: str) -> None:
    row = (order["orderId"], event_id, placed_at, email, order["orderTotal"], order["orderCurrency"], "placed")
    with database("shop", ORDERS) as shop:
        shop.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _set_status(order_id: str, status: str) -> None:
    with database("shop", ORDERS) as shop:
        shop.execute("UPDATE orders SET status = ? WHERE order_id = ?", (status, order_id))
