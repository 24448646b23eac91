"""E-mail through a real mail server, which asks for TLS and a password."""

import mailbox
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest

from tests.systems.conftest import CANARY, PASSWORD_IN_URL, USER, Shop
from tests.systems.counterparts import MailServer

pytestmark = pytest.mark.systems


@pytest.fixture
def mail_shop(real_shop: Shop, mail_server: MailServer) -> Shop:
    """The shop with the mail server, whose mailbox is empty."""
    mailbox.Maildir(mail_server.mailbox).clear()
    real_shop.variables["SMTP_URL"] = f"smtp://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{mail_server.port}"
    real_shop.variables["SSL_CERT_FILE"] = str(mail_server.authority)
    return real_shop


def read_mail(server: MailServer) -> list[EmailMessage]:
    parser = BytesParser(policy=policy.default)
    maildir = mailbox.Maildir(server.mailbox)
    # iterating over a Maildir gives its messages
    return [parser.parsebytes(maildir.get_bytes(key)) for key in maildir.keys()]  # noqa: SIM118


def test_confirmation_arrives(mail_shop: Shop, order: dict[str, Any], mail_server: MailServer) -> None:
    """A paid order leads to an e-mail with a plain and an HTML part, to the customer, from the shop."""
    deliveries = mail_shop.publish(order)

    (message,) = read_mail(mail_server)
    plain, html = message.iter_parts()
    assert deliveries["confirmation-email"]["state"] == "done"
    assert (message["To"], message["From"]) == (
        "John Smith <joe.smith@example.com>",
        "The Shop <orders@shop.example>",
    )
    assert (message["X-RcptTo"], message["X-MailFrom"]) == ("joe.smith@example.com", "orders@shop.example")
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert all("188.40 USD" in part.get_content() for part in (plain, html))


def test_repeated_confirmation_has_the_same_id(mail_shop: Shop, order: dict[str, Any], mail_server: MailServer) -> None:
    """A repeated call sends nothing. If the note of the first call was lost, it sends the same message again."""
    mail_shop.publish(order)
    words = ("handlers", "run", "confirmation-email", "payment-authorized")
    mail_shop.run(*words)
    mail_shop.run(*words)
    first = read_mail(mail_server)
    for copy in (mail_shop.folder / "data/outbox").iterdir():
        copy.unlink()
    mail_shop.run(*words)
    again = read_mail(mail_server)

    assert len(first) == 2
    assert len(again) == 3
    assert len({message["Message-ID"] for message in again}) == 2
    for message in again:
        del message["X-Peer"]  # the server's note of the connection
    assert len({message.as_bytes() for message in again}) == 2


def test_closing_mail_server_costs_no_attempt(mail_shop: Shop, order: dict[str, Any]) -> None:
    """A server that answers 421 is not available: the delivery waits."""
    order["detail"]["shipTo"][0]["address"]["email"] = "busy@example.com"

    delivery = mail_shop.publish(order)["confirmation-email"]

    assert (delivery["state"], delivery["attempts"]) == ("waiting", 0)
    assert "421" in delivery["error"]


def test_mail_server_that_is_down_costs_no_attempt(mail_shop: Shop, order: dict[str, Any]) -> None:
    """The e-mail waits, and the order is paid."""
    deliveries = mail_shop.publish(order, SMTP_URL=f"smtp://{USER}:{CANARY}@127.0.0.1:1")

    assert deliveries["charge-card"]["state"] == "done"
    assert (deliveries["confirmation-email"]["state"], deliveries["confirmation-email"]["attempts"]) == ("waiting", 0)


def test_wrong_certificate_gets_no_password(mail_shop: Shop, order: dict[str, Any], mail_server: MailServer) -> None:
    """A server with an untrusted certificate gets neither the password nor the e-mail."""
    delivery = mail_shop.publish(order, SSL_CERT_FILE="/dev/null")["confirmation-email"]

    assert delivery["state"] == "ready"
    assert "certificate verify failed" in delivery["error"]
    assert read_mail(mail_server) == []


def test_wrong_password_is_a_failure_that_does_not_show_it(mail_shop: Shop, order: dict[str, Any]) -> None:
    """The server refuses the password: the attempt failed, with the reason of the server."""
    port = mail_shop.variables["SMTP_URL"].rpartition(":")[2]

    delivery = mail_shop.publish(order, SMTP_URL=f"smtp://{USER}:{CANARY}@127.0.0.1:{port}")["confirmation-email"]

    assert delivery["state"] == "ready"
    assert "535" in delivery["error"]
    assert CANARY not in delivery["error"]
