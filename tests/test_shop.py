"""The shop in samples/: its events, schemas and handlers agree with docs/shop.md, without any package but Python."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from email import message_from_bytes, policy
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from evtool.findings.codes import CODES
from samples.handlers import email_platform, processor
from samples.handlers.email import confirm_order, tell_declined
from samples.handlers.payment import authorize
from samples.polling import poller
from samples.systems.settings import read_key, read_url
from tests.conftest import ROOT, Evtool

EVENTS = ROOT / "samples/events"
INVALID = ROOT / "samples/invalid"
SCHEMAS = ROOT / "samples/schemas"
ROW = re.compile(r"^\| ([\w.-]+\.jsonl?) \| (?:(\d+)(?::(\d+))?)? ?\| (EV\d{3}) \| .+ \|$", re.MULTILINE)
EXPECTED = [m.groups() for m in ROW.finditer((INVALID / "README.md").read_text())]
FAULTS = {"EV102", "EV103", "EV104", "EV105", "EV106", "EV107"}  # those that a schema finds
SHELLS = [s for s in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(s[0])]

Row = tuple[str, str | None, str | None, str]


class Context:
    """The context of a handler call. It keeps the emitted events."""

    def __init__(self) -> None:
        self.function_name = "handler"
        self.emitted: list[tuple[str, Any, str | None]] = []

    def emit(self, type_: str, detail: Any, *, source: str | None = None) -> None:
        """As evtool's context has it."""
        self.emitted.append((type_, detail, source))

    def unavailable(self, reason: str) -> None:
        """As evtool's context has it: ends the call."""
        raise ConnectionRefusedError(reason)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the data of the shop into a folder of the test, and removes the addresses of real systems."""
    for name in ("DATABASE_URL", "STRIPE_API_KEY", "KLAVIYO_API_KEY", "SMTP_URL", "SHOP_PROCESSOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOP_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def orders() -> list[Any]:
    return [json.loads(line) for line in (EVENTS / "orders.jsonl").read_text().splitlines()]


def faults(event_type: str, detail: Any) -> list[str]:
    """Returns the problems of a detail under the schema of its type, found by the engine directly."""
    file = SCHEMAS / f"{event_type}.json"
    validator = jsonschema_rs.validator_for(
        json.loads(file.read_text()),
        validate_formats=True,
        base_uri=file.as_uri(),
        retriever=lambda uri: json.loads(Path(uri.removeprefix("file://")).read_text()),
    )
    return [error.message for error in validator.iter_errors(detail)]


def events_of(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """Returns type and detail of the event, or of the events of a PutEvents request, in a document."""
    if "Entries" in document:
        return [(entry["DetailType"], json.loads(entry["Detail"])) for entry in document["Entries"]]
    return [(document.get("detail-type") or document["type"], document.get("detail") or document["data"])]


def rows(data: Path, database: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(data / f"{database}.db")) as connection:
        return connection.execute(query).fetchall()


# --- events and schemas ----------------------------------------------------------------------------------------------


def test_every_sample_event_is_valid() -> None:
    """Each file of samples/events is valid, in every form of an event."""
    documents = [json.loads(file.read_text()) for file in EVENTS.glob("*.json")] + orders()

    found = [faults(event_type, detail) for document in documents for event_type, detail in events_of(document)]

    assert len(found) == 12
    assert not any(found)


def test_sample_ids_are_unique() -> None:
    """No two samples claim to be the same event."""
    texts = [file.read_bytes().decode("latin-1") for folder in (EVENTS, INVALID) for file in folder.glob("*.json*")]

    ids = [found for text in texts for found in re.findall(r'"id": "([0-9a-f-]{36})"', text)]

    assert len(ids) == len(set(ids)) > 30


def test_totals_add_up_except_in_the_published_order() -> None:
    """A schema cannot express the sum. It is wrong in the order of the published example only."""

    def adds_up(detail: Any) -> bool:
        return detail["orderTotal"] == round(sum(item["price"] * item["quantity"] for item in detail["items"]), 2)

    published = json.loads((INVALID / "order-published.json").read_text())

    assert all(adds_up(event["detail"]) for event in [sample("order-created"), *orders()])
    assert not adds_up(published["detail"])


PUBLISHED = (INVALID / "order-published.json").read_text()
UNUSABLE_EMAIL = "[email protected]"


def test_published_order_is_as_it_was_published() -> None:
    """The published order has numbers as item ids, the printed total and the printed e-mail address."""
    detail = json.loads(PUBLISHED)["detail"]

    assert detail == {
        "cartId": "314919ab8aed637123f804eb",
        "orderCurrency": "USD",
        "orderTotal": 27.64,
        "orderId": "314919ab8aed637123f804eb",
        "shipTo": [
            {
                "address": {
                    "name": {"first": "John", "last": "Smith"},
                    "phone": {"number": "5555555555", "kind": "mobile"},
                    "email": UNUSABLE_EMAIL,
                    "street1": "1250 main street",
                    "street2": "",
                    "city": "HAVRE DE GRACE",
                    "state": "MD",
                    "country": "US",
                    "zipCode": "21078-3213",
                    "kind": "shipping",
                },
                "shipmentCarrier": "FedEx",
            }
        ],
        "items": [
            {"itemId": 4912, "price": 122.43, "quantity": 1, "total": 122.43},
            {"itemId": 8123, "price": 21.99, "quantity": 3, "total": 65.97},
        ],
    }


def test_published_order_with_a_real_email_is_valid(evtool: Evtool, shop: Path) -> None:
    """With a real e-mail address the published order is valid, in its envelope and as a payload without one."""
    order = PUBLISHED.replace(UNUSABLE_EMAIL, "john.smith@example.com")
    payload = json.dumps(json.loads(order)["detail"])

    enveloped = evtool("validate", "-", stdin=order.encode(), cwd=shop)
    bare = evtool("validate", "-", "--type", "order.created", stdin=payload.encode(), cwd=shop)

    valid = (0, "checked 1 event in 1 file: all valid\n", "")
    assert [(ran.code, ran.out, ran.err) for ran in (enveloped, bare)] == [valid, valid]


@pytest.mark.parametrize(
    "change",
    [
        {"cartId": "314919ab8aed637123f804e"},
        {"orderId": "314919ab8aed637123f804eb0"},
        {"orderId": "314919AB8AED637123F804EB"},
        {"orderId": "314919ab8aed637123f804eg"},
        {"cartId": "314919ab8aed637123f804eb\n"},
        {"items": [{"itemId": "4912", "price": 1, "quantity": 1, "total": 1}]},
        {"items": [{"itemId": 0, "price": 1, "quantity": 1, "total": 1}]},
        {"items": [{"itemId": 49.12, "price": 1, "quantity": 1, "total": 1}]},
    ],
    ids=str,
)
def test_ids_of_another_form_are_invalid(change: dict[str, Any]) -> None:
    """Carts and orders have ids of 24 hexadecimal digits in lower case, items have integers from 1."""
    assert len(faults("order.created", sample("order-created")["detail"] | change)) == 1


def test_invalid_samples_are_all_listed() -> None:
    """The table of samples/invalid/README.md names all files there, with codes that exist."""
    assert {row[0] for row in EXPECTED} == {file.name for file in INVALID.glob("*.json*")}
    assert {row[3] for row in EXPECTED} <= CODES.keys()


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: f"{row[0]}:{row[1]}:{row[3]}")
def test_listed_locations_are_in_the_invalid_samples(row: Row) -> None:
    """A location is a brace for a missing property, and the quote of a key for an additional one."""
    name, line, column, code = row
    if line is None:
        return
    text = (INVALID / name).read_text("utf-8" if code != "EV004" else "latin-1").splitlines()[int(line) - 1]
    there = text[int(column or 1) - 1 :].lstrip("" if column else " ")

    assert there.startswith({"EV102": "{", "EV103": '"', "EV003": '"', "EV108": '"'}.get(code, ""))
    assert re.match(r'[{"\[\w-]', there)


@pytest.mark.parametrize("name", sorted({row[0] for row in EXPECTED if row[0].endswith(".json") and row[3] in FAULTS}))
def test_invalid_samples_have_the_faults_that_are_listed(name: str) -> None:
    """The number of problems is that of the table."""
    ((event_type, detail),) = events_of(json.loads((INVALID / name).read_text()))

    assert len(faults(event_type, detail)) == sum(row[0] == name for row in EXPECTED)


def test_routes_and_handlers_name_existing_code_and_schemas() -> None:
    """Every route has a handler, every handler has code, and every emitted type has a schema."""
    routes = yaml.safe_load((ROOT / "routes.yaml").read_text())
    handlers = routes["handlers"]
    functions = [handler["python"].split(":") for handler in handlers.values() if "python" in handler]
    scripts = [handler["command"][-1] for handler in handlers.values() if "command" in handler]

    assert {to for route in routes["routes"].values() for to in route["to"]} == handlers.keys()
    assert all(callable(getattr(import_module(module), function)) for module, function in functions)
    assert all((ROOT / script).is_file() for script in scripts)
    assert all((SCHEMAS / f"{t}.json").is_file() for handler in handlers.values() for t in handler.get("emits", ()))


def test_routes_systems_yaml_differs_only_in_its_webhooks(evtool: Evtool, shop: Path) -> None:
    """It has the webhooks of the warehouse and of Stripe, and no finding."""
    here = yaml.safe_load((ROOT / "routes.yaml").read_text())
    real = yaml.safe_load((ROOT / "routes.systems.yaml").read_text())
    variables = {"WAREHOUSE_URL": "https://warehouse.example/hook", "WAREHOUSE_SECRET": "whsec_c2VjcmV0"}

    checked = evtool("check", "--routes", "routes.systems.yaml", "--strict", cwd=shop, env=variables)

    assert real.pop("intake") == {"stripe": {"source": "stripe.com", "type-at": "/type", "id-at": "/id"}}
    assert real.pop("schemas") == [here.pop("schemas"), "samples/systems/schemas"]
    assert real["handlers"].pop("confirm-payment")
    assert real["routes"].pop("payment-succeeded")
    assert real["handlers"].pop("warehouse").keys() == {"description", "http", "secret", "timeout"}
    assert here["handlers"].pop("warehouse")
    assert real == here
    assert checked.code == 0, checked.out


def test_a_missing_client_package_makes_the_order_wait(evtool: Evtool, shop: Path) -> None:
    """The message names the variable whose package is not installed. The order is not lost."""
    (shop / "stripe.py").write_text("raise ModuleNotFoundError(\"No module named 'stripe'\")")

    ran = evtool("publish", "order-created", "-o", "json", cwd=shop, env={"STRIPE_API_KEY": "sk_test_1"})

    (delivery,) = ran.json["events"][0]["deliveries"]
    assert ran.code == 1
    assert [finding["code"] for finding in ran.json["findings"]] == ["EV501"]
    assert "No module named 'stripe'" in ran.json["findings"][0]["message"]
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 0)


# --- handlers --------------------------------------------------------------------------------------------------------


def test_handlers_can_be_imported_without_packages() -> None:
    modules = [f"samples.handlers.{file.stem}" for file in (ROOT / "samples/handlers").glob("[a-z]*.py")]
    code = f"import sys; sys.path.insert(0, '.'); import {', '.join(modules)}"

    assert len(modules) == 6
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, check=True)


def test_order_is_kept_and_paid_for(data: Path) -> None:
    """An order leads to payment.authorized, just as the sample of it shows, and to a row in the order database."""
    context = Context()

    authorize(sample("order-created"), context)

    assert context.emitted == [("payment.authorized", sample("payment-authorized")["detail"], "shop.payments")]
    assert rows(data, "orders", "SELECT order_id, status FROM orders") == [("314919ab8aed637123f804eb", "paid")]


def test_same_order_event_is_charged_once(data: Path) -> None:
    """A repeated event creates no second charge or order, and gives the same answer."""
    context = Context()

    for _ in range(3):
        authorize(sample("order-created"), context)

    assert rows(data, "processor", "SELECT amount, currency FROM charges") == [(18840, "USD")]
    assert len(rows(data, "orders", "SELECT * FROM orders")) == 1
    assert all(before == after for before, after in pairwise(context.emitted))


def test_order_over_the_limit_is_declined(data: Path) -> None:
    """The stand-in declines more than 1,000, and the emitted event has what the e-mail needs."""
    context = Context()
    big = next(event for event in orders() if event["detail"]["orderTotal"] > 1000)

    authorize(big, context)

    assert context.emitted == [("payment.declined", sample("payment-declined")["detail"], "shop.payments")]
    assert rows(data, "orders", "SELECT status FROM orders") == [("declined",)]


def test_every_emitted_event_is_valid() -> None:
    """The events of the payment handler fit their schemas."""
    context = Context()

    for order in orders():
        authorize(order, context)

    assert [faults(event_type, detail) for event_type, detail, _ in context.emitted] == [[], [], [], [], []]


def test_an_order_is_charged_when_the_processor_is_back(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the processor the handler fails, keeps the order, and charges it in the next attempt."""
    context = Context()
    monkeypatch.setenv("SHOP_PROCESSOR", "down")
    with pytest.raises(ConnectionRefusedError):
        authorize(sample("order-created"), context)
    assert rows(data, "orders", "SELECT status FROM orders") == [("placed",)]
    assert context.emitted == []

    monkeypatch.delenv("SHOP_PROCESSOR")
    authorize(sample("order-created"), context)

    assert rows(data, "orders", "SELECT status FROM orders") == [("paid",)]
    assert len(context.emitted) == 1


def test_idempotency_key_is_for_one_amount() -> None:
    """The same key with another amount is an error, not a repeat."""
    processor.charge("key", 100, "USD", "order", Context())

    with pytest.raises(ValueError, match="another amount"):
        processor.charge("key", 200, "USD", "order", Context())


def test_the_confirmation_is_a_standard_email(data: Path) -> None:
    """The file in the outbox has the headers and the text. A repeat changes nothing."""
    paid = sample("payment-authorized")
    confirm_order(paid, Context())
    (file,) = (data / "outbox").iterdir()
    first = file.read_bytes()
    confirm_order(paid, Context())

    message = message_from_bytes(first, policy=policy.default)

    assert [f.read_bytes() for f in (data / "outbox").iterdir()] == [first]
    assert message["To"] == "John Smith <joe.smith@example.com>"
    assert re.fullmatch(r"<handler\.[0-9a-f]{32}@shop\.example>", message["Message-ID"])
    assert message["Date"] == "Mon, 02 Mar 2026 14:05:32 +0000"
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    for part in (plain, html):
        assert "188.40 USD" in part.get_content()
        assert "3 x 8123" in part.get_content()


def test_the_confirmation_escapes_markup_in_names(data: Path) -> None:
    """The HTML part escapes it, the plain part shows it unchanged."""
    paid = sample("payment-authorized")
    paid["detail"]["name"]["first"] = "<img src=x>"
    confirm_order(paid, Context())
    (file,) = (data / "outbox").iterdir()

    plain, html = message_from_bytes(file.read_bytes(), policy=policy.default).iter_parts()

    assert "Dear <img src=x>," in plain.get_content()
    assert "Dear &lt;img src=x&gt;," in html.get_content()


def test_handlers_of_one_event_write_different_messages(data: Path) -> None:
    """A Message-ID belongs to one delivery: it is the same in each attempt, and differs by handler, source and id."""
    paid = sample("payment-authorized")
    deliveries = [("one", paid), ("two", paid), ("one", paid | {"id": "x"}), ("one", paid | {"source": "x"})]

    for name, event in [*deliveries, *deliveries]:
        context = Context()
        context.function_name = name
        confirm_order(event, context)

    messages = [message_from_bytes(file.read_bytes()) for file in (data / "outbox").iterdir()]
    assert len({message["Message-ID"] for message in messages}) == len(messages) == 4


def test_a_declined_payment_is_reported_by_email(data: Path) -> None:
    """The e-mail contains the reason."""
    tell_declined(sample("payment-declined"), Context())

    (file,) = (data / "outbox").iterdir()

    assert "was declined (amount_too_large)" in message_from_bytes(
        file.read_bytes(), policy=policy.default
    ).get_content().replace("\n", " ")


def test_event_ids_cannot_leave_the_outbox(data: Path) -> None:
    """An id with slashes and dots still names a file in the outbox."""
    for event_id in ("../../over", "/etc/passwd", "..", "a b\nBcc: x"):
        confirm_order(sample("payment-authorized") | {"id": event_id}, Context())

    assert len(list((data / "outbox").iterdir())) == 4
    assert sorted(path.name for path in data.iterdir()) == ["outbox"]


def test_abandoned_cart_is_enrolled_once(data: Path) -> None:
    """The same abandoned cart twice is one enrolment."""
    for _ in range(2):
        email_platform.enrol(sample("cart-abandoned"), Context())

    assert rows(data, "email-platform", "SELECT email, cart_total FROM enrolments") == [
        ("joe.smith@example.com", 65.97)
    ]


# --- the variables of the real systems ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "smtp://user:secret/x@mail.example",
        "smtp://user:x:secret@mail.example:secret",
        "smtp://mail.example:65536secret",
        "smtp:///secret",
        "smtp://[secret",
        "host=mail.example password=secret",
        "secret",
        "",
    ],
)
def test_malformed_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The message names the variable and the form, and has no part of the value, which may be a password."""
    monkeypatch.setenv("SMTP_URL", url)

    with pytest.raises(ValueError, match="SMTP_URL is not a URL of the form smtp://USER:PASSWORD@HOST:PORT") as raised:
        read_url("SMTP_URL", "smtp", "smtps")

    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("key", ["secret secret", "secret\nX: y", "secret\x07", "secrét", "secret\u200b"])
def test_unusable_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A key that cannot be sent is reported by the name of its variable, and never by its value."""
    monkeypatch.setenv("STRIPE_API_KEY", key)

    with pytest.raises(ValueError, match="STRIPE_API_KEY is not a key") as raised:
        read_key("STRIPE_API_KEY")

    assert "secr" not in str(raised.value)


def test_line_end_after_a_key_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was read from a file with a line end works."""
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1\r\n")

    assert read_key("STRIPE_API_KEY") == "sk_test_1"


def test_url_may_have_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password may contain every character."""
    monkeypatch.setenv("SMTP_URL", "smtps://joe%40example.com:%3A%2F%25@mail.example:2525")

    assert read_url("SMTP_URL", "smtp", "smtps") == ("smtps", "mail.example", 2525, "joe@example.com", ":/%")


# --- the warehouse, in every shell that is here ----------------------------------------------------------------------

PICK_LIST = """\
PICK LIST      order 314919ab8aed637123f804eb

[ ]     1 x  4912
[ ]     3 x  8123

SHIP TO        by FedEx

     John Smith
     1250 main street
     HAVRE DE GRACE, MD 21078-3213
"""


def pick(event: str, shell: list[str]) -> subprocess.CompletedProcess[bytes]:
    command = [*shell, "samples/handlers/warehouse.sh"]
    return subprocess.run(command, input=event.encode(), cwd=ROOT, capture_output=True)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_paid_order_creates_one_pick_list(data: Path, shell: list[str]) -> None:
    """A repeat creates the same one, and no draft is left."""
    for indent in (None, 2):
        done = pick(json.dumps(sample("payment-authorized"), indent=indent), shell)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    (file,) = (data / "picks").iterdir()

    assert file.name == "314919ab8aed637123f804eb.txt"
    assert file.read_text() == PICK_LIST


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("escaped", [True, False])
def test_the_pick_list_contains_the_exact_address(data: Path, shell: list[str], *, escaped: bool) -> None:
    """Quotes, backslashes, dollar signs and all scripts are unchanged. A control character becomes a space."""
    event = sample("payment-authorized")
    address = event["detail"]["shipTo"][0]["address"]
    address["name"] = {"first": "Zoë 😀", "last": 'O"Hara \\n $(id) `id` %s'}
    address["street1"] = "\x1b[2J7\tWater\nStreet\x9b"
    address["street2"] = "orderId\u0000"

    done = pick(json.dumps(event, ensure_ascii=escaped), shell)

    assert done.returncode == 0
    assert (data / "picks/314919ab8aed637123f804eb.txt").read_text().splitlines()[-4:] == [
        '     Zoë 😀 O"Hara \\n $(id) `id` %s',
        "      [2J7 Water Street ",
        "     orderId ",
        "     HAVRE DE GRACE, MD 21078-3213",
    ]


@pytest.mark.parametrize("order", ["../../over", "", "-rf", None])
def test_order_numbers_cannot_leave_the_warehouse(data: Path, order: str | None) -> None:
    """An invalid order number is refused before a file is written."""
    event = sample("payment-authorized")
    event["detail"]["orderId"] = order

    done = pick(json.dumps(event), ["sh"])

    assert (done.returncode, done.stderr) == (1, b"no order number to write a pick list for\n")
    assert not data.exists()


def test_a_closed_warehouse_is_not_available(data: Path) -> None:
    """The exit code of the handler is 75 if it cannot write the pick list."""
    data.write_text("a file where the folder should be")

    assert pick(json.dumps(sample("payment-authorized")), ["sh"]).returncode == 75


# --- polling ---------------------------------------------------------------------------------------------------------


def compare(*options: str) -> str:
    """Returns the output of compare.py."""
    command = [sys.executable, ROOT / "samples/polling/compare.py", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def cells(printed: str) -> list[list[str]]:
    """The rows of a Markdown table, without its head."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()[2:]]


def test_the_comparison_in_the_docs_is_up_to_date() -> None:
    """The table of docs/shop.md equals the output of the script."""
    assert compare() in (ROOT / "docs/shop.md").read_text()


def test_other_figures_in_the_docs_are_up_to_date() -> None:
    """docs/shop.md has the figures of runs with options."""
    text = (ROOT / "docs/shop.md").read_text()

    assert cells(compare("--spike", "0"))[0][2] == "31.7 s" in text
    assert cells(compare("--batch", "500"))[0][3] == "103.9 s" in text
    assert cells(compare("--usual", "10", "--spike", "0"))[2][4:] == ["3601", "3591"]
    assert "3,591 of 3,601" in text


def test_polling_costs_delays_or_empty_queries() -> None:
    """Rare polling delays orders, frequent polling makes empty queries, events do neither."""
    minute, ten, second, events = cells(compare("--spike", "0", "--seed", "7"))
    waits = [float(row[2].removesuffix(" s")) for row in (minute, ten, second, events)]
    empty = [int(row[5]) for row in (minute, ten, second, events)]

    assert {row[1] for row in (minute, ten, second, events)} == {"300"}
    assert waits == sorted(waits, reverse=True)
    assert 20 < waits[0] < 40
    assert waits[3] == 0
    assert empty[0] < empty[1] < empty[2]
    assert events[4:] == ["0", "0"]


def test_poller_handles_each_order_of_a_real_table_once(tmp_path: Path) -> None:
    """A query returns up to a batch, the oldest orders first, and no finished order."""
    with closing(sqlite3.connect(tmp_path / "orders.db")) as table:
        table.executescript(poller.TABLE)
        table.executemany("INSERT INTO orders VALUES (?, ?, 'new')", [(1, 30.0), (2, 10.0), (3, 20.0)])
        handled: list[int] = []

        found = poller.poll(table, handled.append, time, interval=0, batch=2)

        assert [next(found) for _ in range(3)] == [2, 1, 0]
        assert handled == [2, 3, 1]
