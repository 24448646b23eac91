"""The order database in a real PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.systems.conftest import CANARY, USER, Shop

pytestmark = pytest.mark.systems


def read_orders(url: str) -> list[Any]:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT order_id, status, detail FROM shop_orders ORDER BY order_id").fetchall()


def test_order_is_stored_in_postgresql(real_shop: Shop, order: dict[str, Any], database_url: str) -> None:
    """A placed order is a row in PostgreSQL with its status and its document, and not a file."""
    deliveries = real_shop.publish(order, DATABASE_URL=database_url)

    assert deliveries["charge-card"]["state"] == "done"
    assert read_orders(database_url) == [(order["detail"]["orderId"], "paid", order["detail"])]
    assert not (real_shop.folder / "data/orders.db").exists()


def test_repeated_order_is_one_row(real_shop: Shop, order: dict[str, Any], database_url: str) -> None:
    """A second call for the same event changes nothing; another event about the order does not replace it."""
    real_shop.variables["DATABASE_URL"] = database_url
    real_shop.publish(order)
    repeated = real_shop.run("handlers", "run", "charge-card", "order-created")
    other = order | {"id": "another-event"}
    real_shop.publish(other)

    assert repeated.code == 0, repeated.err
    assert len(read_orders(database_url)) == 1


def test_concurrent_orders_create_the_table_once(real_shop: Shop, order: dict[str, Any], database_url: str) -> None:
    """Several processes that find an empty database store all their orders."""
    events = [order | {"id": f"at-once-{n}", "detail": order["detail"] | {"orderId": f"{n:024x}"}} for n in range(4)]
    real_shop.variables["DATABASE_URL"] = database_url

    def publish(event: dict[str, Any]) -> str:
        store = f"store-{event['id']}.db"
        ran = real_shop.run("publish", "-", "--store", store, "-o", "json", stdin=json.dumps(event).encode())
        return str(ran.json["events"][0]["deliveries"][0]["state"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(publish, events)) == ["done"] * 4
    assert len(read_orders(database_url)) == 4


def test_order_with_any_text_is_stored(real_shop: Shop, order: dict[str, Any], database_url: str) -> None:
    """PostgreSQL's own types refuse U+0000, but the order keeps it."""
    order["detail"]["shipTo"][0]["address"]["street2"] = "\u0000 \U0001f600 \\u0000 'x'; --"

    real_shop.publish(order, DATABASE_URL=database_url)

    assert [detail for _, _, detail in read_orders(database_url)] == [order["detail"]]


def test_order_waits_while_the_database_is_down(real_shop: Shop, order: dict[str, Any], database_url: str) -> None:
    """The delivery uses no attempt, and succeeds when the database is back."""
    real_shop.variables["DATABASE_URL"] = f"postgresql://{USER}:{CANARY}@127.0.0.1:1/shop"
    waiting = real_shop.publish(order)["charge-card"]
    real_shop.variables["DATABASE_URL"] = database_url
    real_shop.run("deliver", "--now")

    assert (waiting["state"], waiting["attempts"]) == ("waiting", 0)
    assert read_orders(database_url)[0][1] == "paid"


def test_unusable_url_is_not_shown(real_shop: Shop, order: dict[str, Any]) -> None:
    """A mistake in DATABASE_URL that only PostgreSQL's library finds is reported without any part of its value."""
    url = f"postgresql://{USER}:{CANARY}@127.0.0.1:1/shop?nonsense={CANARY}&x=%zz{CANARY}"

    ran = real_shop.run("publish", "order-created", "-v", DATABASE_URL=url)
    told = real_shop.run("events", order["id"], "-o", "json")

    assert "DATABASE_URL" in ran.out
    assert CANARY not in ran.out + ran.err + told.out
