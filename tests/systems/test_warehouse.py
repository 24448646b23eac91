"""The warehouse as a signed webhook, verified by another implementation of Standard Webhooks."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.support.http_servers import Server, responds
from tests.systems.conftest import CANARY, WAREHOUSE_SECRET, Shop

pytestmark = pytest.mark.systems


@pytest.fixture
def warehouse() -> Iterator[Server]:
    """The server of the warehouse."""
    with Server(responds(204)) as server:
        yield server


@pytest.fixture
def webhook_shop(real_shop: Shop) -> Shop:
    """The shop with the routes that call the warehouse as a webhook."""
    real_shop.variables.update(EVTOOL_ROUTES="routes.systems.yaml", WAREHOUSE_SECRET=WAREHOUSE_SECRET)
    return real_shop


def test_paid_order_reaches_the_warehouse(webhook_shop: Shop, order: dict[str, Any], warehouse: Server) -> None:
    """The warehouse gets payment.authorized with a signature that it can verify, and the shop writes no pick list."""
    deliveries = webhook_shop.publish(order, WAREHOUSE_URL=warehouse.url)

    (request,) = warehouse.requests
    event = Webhook(WAREHOUSE_SECRET).verify(request.body, dict(request.headers))
    assert (deliveries["warehouse"]["state"], deliveries["warehouse"]["attempts"]) == ("done", 1)
    assert [event["detail"]] == webhook_shop.read_events("payment.authorized")
    assert not (webhook_shop.folder / "data/picks").exists()


def test_warehouse_that_is_closed_costs_no_attempt(
    webhook_shop: Shop, order: dict[str, Any], warehouse: Server
) -> None:
    """While the warehouse is closed, the order waits. It is sent once when the warehouse is back."""
    closed = webhook_shop.publish(order, WAREHOUSE_URL=f"http://127.0.0.1:1/{CANARY}")["warehouse"]
    opened = webhook_shop.run("deliver", "--now", "-o", "json", WAREHOUSE_URL=warehouse.url)

    assert (closed["state"], closed["attempts"]) == ("waiting", 0)
    assert CANARY not in json.dumps(closed)
    assert [delivery["state"] for delivery in opened.json["deliveries"]] == ["done"]
    assert len(warehouse.requests) == 1
