"""The e-mail platform with Klaviyo's SDK, against a server that checks requests against Klaviyo's published OpenAPI."""

import json
from typing import Any

import pytest

from tests.systems.conftest import CANARY, Shop
from tests.systems.klaviyo_server import KlaviyoServer, find_problems

pytestmark = pytest.mark.systems

EVENTS = "/api/events"
SUBSCRIPTIONS = "/api/profile-subscription-bulk-create-jobs"


@pytest.fixture
def klaviyo_shop(real_shop: Shop, klaviyo: KlaviyoServer) -> Shop:
    """The shop with the server in the place of Klaviyo."""
    real_shop.variables.update(KLAVIYO_API_KEY=CANARY, KLAVIYO_API_BASE=klaviyo.url)
    return real_shop


@pytest.fixture
def cart(shop: Any) -> dict[str, Any]:
    """The sample of an abandoned cart."""
    event: dict[str, Any] = json.loads((shop / "samples/events/cart-abandoned.json").read_text())
    return event


def test_abandoned_cart_starts_the_flow(klaviyo_shop: Shop, cart: dict[str, Any], klaviyo: KlaviyoServer) -> None:
    """Klaviyo gets the event that starts the flow, with the customer and the cart, and nothing else."""
    delivery = klaviyo_shop.publish(cart)["email-platform"]

    ((path, body),) = klaviyo.accepted
    attributes = body["data"]["attributes"]
    assert (delivery["state"], delivery["error"], klaviyo.refused) == ("done", None, [])
    assert path == EVENTS
    assert attributes["metric"]["data"]["attributes"]["name"] == "Started Checkout"
    assert attributes["profile"]["data"]["attributes"]["email"] == "joe.smith@example.com"
    assert (attributes["value"], attributes["value_currency"], attributes["time"]) == (
        65.97,
        "USD",
        "2026-03-02T08:00:00+00:00",
    )
    assert attributes["properties"] == {"cartId": cart["detail"]["cartId"], "items": cart["detail"]["items"]}
    assert [request.headers["authorization"] for request in klaviyo.requests] == [f"Klaviyo-API-Key {CANARY}"]


def test_customer_is_subscribed_to_the_list(klaviyo_shop: Shop, cart: dict[str, Any], klaviyo: KlaviyoServer) -> None:
    """With KLAVIYO_LIST_ID, the customer's e-mail address is subscribed to this list."""
    klaviyo_shop.publish(cart, KLAVIYO_LIST_ID="Y6nRLr")

    (_, (path, body)) = klaviyo.accepted
    (profile,) = body["data"]["attributes"]["profiles"]["data"]
    assert (path, klaviyo.refused) == (SUBSCRIPTIONS, [])
    assert body["data"]["relationships"]["list"]["data"] == {"type": "list", "id": "Y6nRLr"}
    assert profile["attributes"] == {
        "email": "joe.smith@example.com",
        "subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED"}}},
    }


def test_repeated_event_has_the_same_unique_id(
    klaviyo_shop: Shop, cart: dict[str, Any], klaviyo: KlaviyoServer
) -> None:
    """Klaviyo recognizes a repeat by its unique_id. Another event has another one."""
    klaviyo_shop.publish(cart)
    klaviyo_shop.run("handlers", "run", "email-platform", "cart-abandoned")
    klaviyo_shop.publish(cart | {"source": "shop.cart", "id": "another"})

    first, again, other = (body["data"]["attributes"]["unique_id"] for _, body in klaviyo.accepted)
    assert first == again != other


@pytest.mark.parametrize("status", [429, 503])
def test_platform_that_asks_for_a_pause_costs_no_attempt(
    klaviyo_shop: Shop, cart: dict[str, Any], klaviyo: KlaviyoServer, status: int
) -> None:
    """The delivery waits after a response that asks for a pause, and succeeds later."""
    klaviyo.status = status
    waiting = klaviyo_shop.publish(cart)["email-platform"]
    klaviyo.status = None
    klaviyo_shop.run("deliver", "--now")

    assert (waiting["state"], waiting["attempts"]) == ("waiting", 0)
    assert len(klaviyo.accepted) == 1


def test_platform_that_is_down_costs_no_attempt(klaviyo_shop: Shop, cart: dict[str, Any]) -> None:
    waiting = klaviyo_shop.publish(cart, KLAVIYO_API_BASE="http://127.0.0.1:1")["email-platform"]

    assert (waiting["state"], waiting["attempts"]) == ("waiting", 0)


def test_refused_key_fails_and_is_not_shown(klaviyo_shop: Shop, cart: dict[str, Any], klaviyo: KlaviyoServer) -> None:
    """The response is 401, and the error does not contain the key."""
    klaviyo.status = 401

    delivery = klaviyo_shop.publish(cart)["email-platform"]

    assert (delivery["state"], delivery["attempts"]) == ("ready", 1)
    assert CANARY not in json.dumps(delivery)


def test_server_refuses_a_wrong_body() -> None:
    """The server checks requests: it refuses a body that the OpenAPI does not allow."""
    body: dict[str, Any] = {"data": {"type": "event", "attributes": {"properties": {}, "value": "65.97"}}}

    problems = find_problems("POST", EVENTS, {}, body)

    assert problems[:3] == [
        "the header revision is missing",
        "the header Authorization has no Klaviyo-API-Key",
        "the content type is None",
    ]
    assert len(problems) == 6
    assert any("'metric' is a required property" in problem for problem in problems)
