"""The payment processor on this machine, which the shop uses without a STRIPE_API_KEY.

A charge carries an idempotency key: however often it is asked for, the customer pays once and the answer is the same.
"""

import os
from typing import Any, NamedTuple

from samples.handlers.storage import database

# In cents. The processor declines larger amounts.
LIMIT = 1_000_00
CHARGES = "charges (idempotency_key TEXT PRIMARY KEY, id TEXT, amount INTEGER, currency TEXT, declined TEXT)"


class Charge(NamedTuple):
    """The answer of the processor. The payment is authorized if it is neither declined nor pending."""

    id: str
    # The reason why the payment is declined.
    declined: str | None = None
    # The processor will send the result to a webhook.
    is_pending: bool = False


def charge(key: str, amount: int, currency: str, order_id: str, context: Any) -> Charge:  # noqa: ARG001  (as Stripe's)
    """Charge `amount` cents for an order."""
    if os.environ.get("SHOP_PROCESSOR") == "down":
        raise ConnectionRefusedError("the payment processor does not answer (SHOP_PROCESSOR=down)")
    answer = Charge(f"pay_{key[:24]}", "amount_too_large" if amount > LIMIT else None)
    with database("processor", CHARGES) as charges:
        charges.execute(
            "INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?, ?)", (key, answer.id, amount, currency, answer.declined)
        )
        query = "SELECT amount, currency, id, declined FROM charges WHERE idempotency_key = ?"
        *charged, payment_id, declined = charges.execute(query, (key,)).fetchone()
    if charged != [amount, currency]:
        raise ValueError(f"the idempotency key {key} was used before, for another amount")
    return Charge(payment_id, declined)
