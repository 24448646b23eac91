"""The shop with all of its real systems at once, and their secrets, which must not appear anywhere."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ran
from tests.support.http_servers import Server, responds
from tests.systems import counterparts
from tests.systems.conftest import CANARY, PASSWORD_IN_URL, USER, WAREHOUSE_SECRET, Shop
from tests.systems.counterparts import MailServer
from tests.systems.klaviyo_server import KlaviyoServer
from tests.systems.test_email import read_mail
from tests.systems.test_orders import read_orders
from tests.systems.test_payments import KEY, WEBHOOK_SECRET, register, send, sign, webhook

pytestmark = pytest.mark.systems

SECRETS = (CANARY, WAREHOUSE_SECRET.removeprefix("whsec_"), PASSWORD_IN_URL)


@pytest.fixture
def whole_shop(
    real_shop: Shop, localstripe: str, mail_server: MailServer, database_url: str, klaviyo: KlaviyoServer
) -> Iterator[Shop]:
    """The shop with every variable set, and the server of its warehouse."""
    with Server(responds(204)) as warehouse:
        real_shop.variables.update(
            EVTOOL_ROUTES="routes.systems.yaml",
            DATABASE_URL=database_url,
            STRIPE_API_KEY=KEY,
            STRIPE_API_BASE=localstripe,
            STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
            SMTP_URL=f"smtp://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{mail_server.port}",
            SSL_CERT_FILE=str(mail_server.authority),
            KLAVIYO_API_KEY=CANARY,
            KLAVIYO_API_BASE=klaviyo.url,
            KLAVIYO_LIST_ID="Y6nRLr",
            WAREHOUSE_URL=f"{warehouse.url}/{CANARY}",
            WAREHOUSE_SECRET=WAREHOUSE_SECRET,
        )
        yield real_shop


def wait_for(shop: Shop, event_type: str) -> None:
    deadline = time.monotonic() + 120
    while not shop.run("events", "--type", event_type, "-o", "json").json["events"]:
        assert time.monotonic() < deadline, f"no {event_type} came"
        time.sleep(0.1)


def test_order_goes_through_all_systems(
    whole_shop: Shop,
    order: dict[str, Any],
    localstripe: str,
    mail_server: MailServer,
    klaviyo: KlaviyoServer,
    tmp_path: Path,
) -> None:
    """An order is stored, paid, confirmed by e-mail and sent to the warehouse; an abandoned cart starts its flow."""
    before = len(read_mail(mail_server))
    with counterparts.run_receiver(whole_shop.folder, whole_shop.variables, tmp_path) as receiver:
        register(localstripe, receiver)
        charged = whole_shop.publish(order)
        wait_for(whole_shop, "payment_intent.succeeded")
    paid = whole_shop.run("deliver", "-o", "json").json["deliveries"]
    whole_shop.run("publish", "cart-abandoned")

    assert charged["charge-card"]["state"] == "done"
    assert {delivery["handler"]: delivery["state"] for delivery in paid} == {
        "confirm-payment": "done",
        "confirmation-email": "done",
        "warehouse": "done",
    }
    assert read_orders(whole_shop.variables["DATABASE_URL"])[0][1] == "paid"
    assert len(read_mail(mail_server)) == before + 1
    assert len(klaviyo.accepted) == 2
    # nothing of the stand-ins was used
    assert [path.name for path in (whole_shop.folder / "data").iterdir()] == ["outbox"]


# the systems of different handlers, so that each run meets several mistakes
BROKEN = (
    {
        "DATABASE_URL": f"postgresql://{USER}:{CANARY}@127.0.0.1:1/shop",
        "SMTP_URL": f"smtp://{USER}:{CANARY}@127.0.0.1:1",
        "KLAVIYO_API_KEY": f"{CANARY}\n",
        "WAREHOUSE_URL": f"http://127.0.0.1:1/{CANARY}",
    },
    {
        "DATABASE_URL": f"postgresql://{USER}:{CANARY}/x@127.0.0.1/shop",
        "SMTP_URL": f"smtp://{USER}:{CANARY}/x@127.0.0.1",
        "KLAVIYO_API_KEY": f"{CANARY}\nx",
        "WAREHOUSE_URL": f"http://user:{CANARY}@127.0.0.1:x",
    },
    {
        "STRIPE_API_KEY": f"sk_live_{CANARY}",
        "KLAVIYO_API_BASE": f"http://user:{CANARY}@127.0.0.1:1",
        "WAREHOUSE_URL": CANARY,
    },
    {"STRIPE_API_KEY": f"sk_test_{CANARY}\nx", "WAREHOUSE_SECRET": CANARY},
    {"STRIPE_API_BASE": f"http://user:{CANARY}@127.0.0.1:1", "WAREHOUSE_SECRET": f"whsec_{CANARY}!"},
)


def test_no_secret_appears_anywhere(whole_shop: Shop, order: dict[str, Any], tmp_path: Path) -> None:
    """No output, report, log, store or other file has a part of a secret, after successes and failures."""
    printed: list[Ran] = []
    with counterparts.run_receiver(whole_shop.folder, whole_shop.variables, tmp_path) as receiver:
        for body in (webhook(), b"{"):
            send(receiver, body, sign(body))
            send(receiver, body, sign(body, f"whsec_{CANARY}-other"))
    printed.append(whole_shop.run("publish", "-", "-v", stdin=json.dumps(order).encode()))
    events = {name: read_sample(whole_shop, name) for name in ("payment-authorized", "cart-abandoned")}
    events["order-created"] = order
    for number, variables in enumerate(BROKEN):
        lines = [json.dumps(event | {"id": f"{name}-{number}"}) for name, event in events.items()]
        printed.append(whole_shop.run("publish", "-", "-v", stdin="\n".join(lines).encode(), **variables))
    commands = (
        ["handlers", "--connect", "-v"],
        ["deliver", "--now", "-v", "-o", "json"],
        ["check", "-v", "-o", "sarif"],
        ["events", order["id"], "-o", "json"],
        ["events", "order-created-0"],
        ["dlq", "list", "-v"],
        ["replay", "order-created-1", "--deliver", "-v", "-o", "junit"],
        ["graph", "-o", "html"],
        ["doctor"],
    )
    printed += [whole_shop.run(*words, **BROKEN[0]) for words in commands]

    texts = [ran.out + ran.err for ran in printed]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(text.count("  ready  ") + text.count("  waiting  ") >= 2 for text in texts[1 : len(BROKEN) + 1]), texts
    assert [text for text in texts for secret in SECRETS if secret in text] == []
    assert [path for path in files for secret in SECRETS if secret.encode() in path.read_bytes()] == []


def read_sample(shop: Shop, name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((shop.folder / f"samples/events/{name}.json").read_text())
    return event
