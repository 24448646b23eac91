"""Payments with Stripe's SDK: localstripe keeps payments, stripe-mock checks requests against Stripe's OpenAPI."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systems import counterparts
from tests.systems.conftest import CANARY, Shop
from tests.systems.recording_proxy import RecordingProxy

pytestmark = pytest.mark.systems

KEY = f"sk_test_{CANARY}"
WEBHOOK_SECRET = f"whsec_{CANARY}"
DECLINED_CARD = "pm_card_chargeCustomerFail"


@pytest.fixture
def stripe_shop(real_shop: Shop, localstripe: str) -> Shop:
    """The shop with localstripe in the place of Stripe."""
    real_shop.variables.update(STRIPE_API_KEY=KEY, STRIPE_API_BASE=localstripe)
    return real_shop


@pytest.fixture
def proxy(stripe_shop: Shop, localstripe: str) -> Iterator[RecordingProxy]:
    """A proxy in front of localstripe, which the shop uses."""
    with RecordingProxy(localstripe) as server:
        stripe_shop.variables["STRIPE_API_BASE"] = server.url
        yield server


def read_payment(url: str, payment_id: str) -> Any:
    request = urllib.request.Request(
        f"{url}/v1/payment_intents/{payment_id}", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_payment_is_taken(stripe_shop: Shop, order: dict[str, Any], localstripe: str) -> None:
    """The processor has a payment of the order's total, and payment.authorized has its id."""
    deliveries = stripe_shop.publish(order)
    (authorized,) = stripe_shop.read_events("payment.authorized")
    payment = read_payment(localstripe, authorized["paymentId"])

    assert {name: delivery["state"] for name, delivery in deliveries.items()} == {
        "charge-card": "done",
        "confirmation-email": "done",
        "warehouse": "done",
    }
    assert (payment["amount"], payment["currency"], payment["status"]) == (18840, "usd", "succeeded")
    assert payment["metadata"] == {"order": order["detail"]["orderId"]}


def test_declined_card_leads_to_an_email(stripe_shop: Shop, order: dict[str, Any]) -> None:
    """A declined card is not a failure: payment.declined has Stripe's reason, and the customer gets it."""
    deliveries = stripe_shop.publish(order, STRIPE_PAYMENT_METHOD=DECLINED_CARD)
    (declined,) = stripe_shop.read_events("payment.declined")

    assert declined["reason"] == "card_declined"
    assert {name: delivery["state"] for name, delivery in deliveries.items()} == {
        "charge-card": "done",
        "declined-email": "done",
    }


def test_request_follows_the_openapi_of_stripe(real_shop: Shop, order: dict[str, Any], stripe_mock: str) -> None:
    """stripe-mock accepts the request with its version, fields and types."""
    delivery = real_shop.publish(order, STRIPE_API_KEY=KEY, STRIPE_API_BASE=stripe_mock)["charge-card"]

    assert (delivery["state"], delivery["error"]) == ("done", None)


def test_every_attempt_has_the_same_idempotency_key(
    stripe_shop: Shop, order: dict[str, Any], proxy: RecordingProxy
) -> None:
    """After a lost response or an error the request is repeated with the same key, which no other order has."""
    proxy.answers = ["lose", 500, 429]
    first = stripe_shop.publish(order)["charge-card"]
    for _ in range(3):
        stripe_shop.run("deliver", "--now")
    stripe_shop.publish(order | {"id": "another"})

    *attempts, other = [request.headers["idempotency-key"] for request in proxy.requests]
    assert (first["state"], first["attempts"]) == ("waiting", 0)
    assert len(attempts) == 4
    assert len(set(attempts)) == 1
    assert other != attempts[0]
    assert len(stripe_shop.read_events("payment.authorized")) == 2


def test_processor_that_is_down_costs_no_attempt(stripe_shop: Shop, order: dict[str, Any], localstripe: str) -> None:
    """Checkout goes on while Stripe cannot be reached; the order is charged later."""
    waiting = stripe_shop.publish(order, STRIPE_API_BASE="http://127.0.0.1:1")["charge-card"]
    stripe_shop.run("deliver", "--now")

    assert (waiting["state"], waiting["attempts"]) == ("waiting", 0)
    assert len(stripe_shop.read_events("payment.authorized")) == 1


def test_live_key_is_refused(stripe_shop: Shop, order: dict[str, Any], proxy: RecordingProxy) -> None:
    """The sample never charges a real card: with a live key it sends nothing, and does not show the key."""
    delivery = stripe_shop.publish(order, STRIPE_API_KEY=f"sk_live_{CANARY}")["charge-card"]

    assert delivery["state"] == "ready"
    assert "is not a test key" in delivery["error"]
    assert CANARY not in delivery["error"]
    assert proxy.requests == []


# --- webhooks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(stripe_shop: Shop, tmp_path: Path) -> Iterator[str]:
    """The URL of the shop's receiver, with which the shop waits for Stripe's webhook."""
    stripe_shop.variables.update(STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET, EVTOOL_ROUTES="routes.systems.yaml")
    with counterparts.run_receiver(stripe_shop.folder, stripe_shop.variables, tmp_path) as url:
        yield url


def send(url: str, body: bytes, signature: str) -> int:
    request = urllib.request.Request(url, data=body, headers={"Stripe-Signature": signature})
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def register(localstripe: str, url: str) -> None:
    words = urllib.parse.urlencode({"url": url, "secret": WEBHOOK_SECRET}).encode()
    urllib.request.urlopen(f"{localstripe}/_config/webhooks/shop", data=words).close()


def test_webhook_decides_that_an_order_is_paid(
    stripe_shop: Shop, order: dict[str, Any], localstripe: str, receiver: str
) -> None:
    """With webhooks, charging emits nothing; the webhook is verified, stored, and leads to payment.authorized."""
    register(localstripe, receiver)
    charged = stripe_shop.publish(order)
    deadline = time.monotonic() + 120
    while not stripe_shop.run("events", "--type", "payment_intent.succeeded", "-o", "json").json["events"]:
        assert time.monotonic() < deadline, "no webhook came"
        time.sleep(0.1)
    stripe_shop.run("deliver")
    (event,) = stripe_shop.read_events("payment_intent.succeeded")
    (authorized,) = stripe_shop.read_events("payment.authorized")
    payment = read_payment(localstripe, authorized["paymentId"])

    assert charged.keys() == {"charge-card"}
    assert event["data"]["object"]["id"] == authorized["paymentId"]
    assert authorized["items"] == [{"itemId": 4912, "quantity": 1}, {"itemId": 8123, "quantity": 3}]
    assert payment["metadata"] == {"order": authorized["orderId"]}
    assert payment["client_secret"].encode() not in (stripe_shop.folder / ".evtool/store.db").read_bytes()


def sign(body: bytes, secret: str = WEBHOOK_SECRET, age: int = 0) -> str:
    stripe = pytest.importorskip("stripe")
    return str(stripe.WebhookSignature.generate_signature_header(body.decode(), secret, int(time.time()) - age))


def webhook(**fields: Any) -> bytes:
    intent = {"id": "pi_1", "object": "payment_intent", "amount": 18840, "currency": "usd", "metadata": {}}
    event = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "data": {"object": intent}}
    return json.dumps(event | fields).encode()


def test_only_signed_webhooks_are_stored(stripe_shop: Shop, receiver: str) -> None:
    """A forged, changed or old webhook gets 400; one that comes again, or of another type, stores nothing."""
    body = webhook()
    refused = [
        send(receiver, body, ""),
        send(receiver, body, sign(body, "whsec_another")),
        send(receiver, body + b" ", sign(body)),
        send(receiver, body, sign(body, age=3600)),
        send(receiver, b"{", sign(b"{")),
    ]
    is_stored = (stripe_shop.folder / ".evtool/store.db").exists()
    again = webhook(pending_webhooks=3)
    other = webhook(id="evt_2", type="charge.succeeded")
    accepted = [send(receiver, text, sign(text)) for text in (body, again, other)]

    assert refused == [400] * 5
    assert not is_stored
    assert accepted == [200] * 3
    assert len(stripe_shop.run("events", "-o", "json").json["events"]) == 1


def test_webhook_that_cannot_be_stored_gets_500(stripe_shop: Shop, receiver: str) -> None:
    """While the store cannot be written, the response is 500, so that Stripe sends the webhook again."""
    routes = stripe_shop.folder / "routes.systems.yaml"
    text = routes.read_text()
    routes.write_text("nonsense")
    body = webhook()
    status = send(receiver, body, sign(body))
    routes.write_text(text)

    assert status == 500
    assert send(receiver, body, sign(body)) == 200
