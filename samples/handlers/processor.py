"""The payment processor's client: Stripe in test mode when there is a key for it, else a stand-in on this machine.

A charge carries an idempotency key: however often it is asked for, the customer pays once and the answer is the same.
"""

import os
from hashlib import sha256
from importlib.util import find_spec
from typing import NamedTuple

from samples.handlers.storage import database

LIMIT = 1_000_00  # the stand-in declines more than this, in cents
CHARGES = "charges (idempotency_key TEXT PRIMARY KEY, id TEXT, amount INTEGER, currency TEXT, declined TEXT)"


class Charge(NamedTuple):
    """What the processor answered. `declined` is its reason, or None when the payment is authorized."""

    id: str
    declined: str | None


def charge(key: str, amount: int, currency: str, order_id: str) -> Charge:
    """Charge `amount` cents for an order. Raises ConnectionError when the processor cannot be reached."""
    # Nothing but a test key: a sample must never charge a real card.
    if os.environ.get("STRIPE_API_KEY", "").startswith("sk_test_") and find_spec("stripe"):
        return _stripe(key, amount, currency, order_id)
    return _stand_in(key, amount, currency)


def _stripe(key: str, amount: int, currency: str, order_id: str) -> Charge:
    import stripe  # noqa: PLC0415  (optional: pip install stripe)

    try:
        intent = stripe.PaymentIntent.create(
            amount=amount,
            currency=currency.lower(),
            payment_method=os.environ.get("STRIPE_PAYMENT_METHOD", "pm_card_visa"),
            payment_method_types=["card"],
            confirm=True,
            metadata={"order": order_id},
            idempotency_key=key,
            api_key=os.environ["STRIPE_API_KEY"],
        )
    except stripe.CardError as error:
        return Charge(error.error.payment_intent.id, error.error.decline_code or error.error.code)
    except stripe.APIConnectionError as error:
        raise ConnectionError("Stripe cannot be reached") from error
    return Charge(intent.id, None if intent.status == "succeeded" else intent.status)


def _stand_in(key: str, amount: int, currency: str) -> Charge:
    if os.environ.get("SHOP_PROCESSOR") == "down":
        raise ConnectionRefusedError("the payment processor does not answer (SHOP_PROCESSOR=down)")
    answer = Charge(f"pay_{sha256(key.encode()).hexdigest()[:24]}", "amount_too_large" if amount > LIMIT else None)
    with database("processor", CHARGES) as charges:
        charges.execute(
            "INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?, ?)", (key, answer.id, amount, currency, answer.declined)
        )
        query = "SELECT amount, currency, id, declined FROM charges WHERE idempotency_key = ?"
        *charged, payment_id, declined = charges.execute(query, (key,)).fetchone()
    if charged != [amount, currency]:
        raise ValueError(f"the idempotency key {key} was used before, for another amount")
    return Charge(payment_id, declined)
