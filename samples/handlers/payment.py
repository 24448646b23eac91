"""Charges the payment for a placed order, and emits the result: payment.authorized or payment.declined."""

import os
from typing import Any

from samples.handlers.storage import identity

if os.environ.get("DATABASE_URL"):
    from samples.systems import postgres_orders as orders
else:
    from samples.handlers import orders
if os.environ.get("STRIPE_API_KEY"):
    from samples.systems.stripe_payments import charge
else:
    from samples.handlers.processor import charge

SOURCE = "shop.payments"


def authorize(event: dict[str, Any], context: Any) -> None:
    """Store the order, charge it, and emit the result. A repeated event does not charge the customer twice."""
    order = event["detail"]
    orders.place(event)
    answer = charge(
        key=identity(event),
        amount=_cents(order),
        currency=order["orderCurrency"],
        order_id=order["orderId"],
        context=context,
    )
    if answer.declined:
        orders.set_status(order["orderId"], "declined")
        context.emit("payment.declined", _payment(order) | {"reason": answer.declined}, source=SOURCE)
    elif not answer.is_pending:
        _emit_authorized(order, answer.id, context)


def confirm(event: dict[str, Any], context: Any) -> None:
    """Emit that an order is paid, after Stripe's webhook `payment_intent.succeeded`."""
    intent = event["detail"]["data"]["object"]
    order_id = intent["metadata"].get("order")
    if order_id is None:
        # Another program has charged this payment through the same account.
        return
    order = orders.find(order_id)
    if order is None:
        raise LookupError(f"a payment for order {order_id}, which is not in the order database")
    if (intent["amount"], intent["currency"].upper()) != (_cents(order), order["orderCurrency"]):
        raise ValueError(f"payment {intent['id']} is not for the total of order {order_id}")
    _emit_authorized(order, intent["id"], context)


def _emit_authorized(order: dict[str, Any], payment_id: str, context: Any) -> None:
    orders.set_status(order["orderId"], "paid")
    items = [{"itemId": item["itemId"], "quantity": item["quantity"]} for item in order["items"]]
    paid = _payment(order) | {"paymentId": payment_id, "items": items, "shipTo": order["shipTo"]}
    context.emit("payment.authorized", paid, source=SOURCE)


def _payment(order: dict[str, Any]) -> dict[str, Any]:
    customer = order["shipTo"][0]["address"]
    return {
        "orderId": order["orderId"],
        "total": order["orderTotal"],
        "currency": order["orderCurrency"],
        "name": customer["name"],
        "email": customer["email"],
    }


def _cents(order: dict[str, Any]) -> int:
    return round(order["orderTotal"] * 100)
