"""The payment processor Stripe, with the test key in STRIPE_API_KEY.

With STRIPE_WEBHOOK_SECRET, Stripe's webhook decides that a payment succeeded: `stripe_webhook.py` receives it.
STRIPE_API_BASE is the URL of a stand-in for Stripe's API, STRIPE_PAYMENT_METHOD the card.
"""

import os
from typing import Any

import stripe

from samples.handlers.processor import Charge
from samples.systems.settings import read_key

# Seconds. The handler itself has 10.
TIMEOUT = 8
TEST_KEYS = ("sk_test_", "rk_test_")


def charge(key: str, amount: int, currency: str, order_id: str, context: Any) -> Charge:
    """Charge `amount` cents for an order. While Stripe cannot be reached or asks for a pause, the order waits.

    Waiting is safe even if the request arrived and only the response was lost: the same key never charges twice.
    """
    intent = {
        "amount": amount,
        "currency": currency.lower(),
        "payment_method": os.environ.get("STRIPE_PAYMENT_METHOD", "pm_card_visa"),
        "payment_method_types": ["card"],
        "confirm": True,
        "metadata": {"order": order_id},
    }
    try:
        answer = _client().v1.payment_intents.create(intent, {"idempotency_key": key})
    except stripe.CardError as error:
        return Charge("", declined=_reason(error))
    except stripe.APIConnectionError:
        context.unavailable("Stripe cannot be reached")
    except stripe.RateLimitError:
        context.unavailable("Stripe asks for a pause (429)")
    if os.environ.get("STRIPE_WEBHOOK_SECRET") and answer.status in ("succeeded", "processing", "requires_action"):
        return Charge(answer.id, is_pending=True)
    return Charge(answer.id, declined=None if answer.status == "succeeded" else answer.status)


def _client() -> stripe.StripeClient:
    key = read_key("STRIPE_API_KEY")
    if not key.startswith(TEST_KEYS):
        raise ValueError("STRIPE_API_KEY is not a test key (sk_test_...): this sample never charges a real card")
    base = os.environ.get("STRIPE_API_BASE")
    return stripe.StripeClient(
        key,
        base_addresses={"api": base} if base else {},
        # evtool repeats the call, and for a longer time.
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=TIMEOUT),
    )


def _reason(error: stripe.CardError) -> str:
    details = error.error
    return (details and details.decline_code) or error.code or "card_declined"
