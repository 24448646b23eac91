"""Writes to customers: the confirmation of a paid order, and the news that a payment was declined.

An e-mail goes into the outbox folder, where any mail program opens it. With SMTP_HOST (and SMTP_PORT) it is sent there
as well, and the one in the outbox is the copy that keeps a repeated event from sending it again.
"""

import os
import smtplib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from samples.handlers.storage import file_name, folder, write_whole

SHOP = Address("The Shop", "orders", "shop.example")

CONFIRMATION = """\
Dear {name[first]},

thank you for your order {orderId}.
Your payment of {total:.2f} {currency} went through, and these are on their way:

{articles}

The Shop
"""

DECLINED = """\
Dear {name[first]},

your payment of {total:.2f} {currency} for order {orderId} was declined ({reason}).
Nothing was charged. Your cart is as you left it: please try another card.

The Shop
"""


def confirm_order(event: dict[str, Any], _context: Any) -> None:
    """Tell the customer that the order is paid and on its way."""
    paid = event["detail"]
    articles = "\n".join(f"    {item['quantity']} x {item['itemId']}" for item in paid["items"])
    _send(event, f"Your order {paid['orderId']}", CONFIRMATION.format(**paid, articles=articles))


def tell_declined(event: dict[str, Any], _context: Any) -> None:
    """Tell the customer that the payment was declined."""
    declined = event["detail"]
    _send(event, f"Your payment for order {declined['orderId']}", DECLINED.format(**declined))


def _send(event: dict[str, Any], subject: str, text: str) -> None:
    copy = folder("outbox") / file_name(event["id"], ".eml")
    if copy.exists():
        return
    message = _message(event, subject, text)
    if os.environ.get("SMTP_HOST"):
        with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ.get("SMTP_PORT", "25")), timeout=10) as server:
            server.send_message(message)
    write_whole(copy, message.as_bytes(policy=SMTP))


def _message(event: dict[str, Any], subject: str, text: str) -> EmailMessage:
    """The e-mail of an event: the same event makes the same e-mail, its date and Message-ID included."""
    customer = event["detail"]
    message = EmailMessage()
    message["From"] = SHOP
    message["To"] = Address(f"{customer['name']['first']} {customer['name']['last']}", addr_spec=customer["email"])
    message["Subject"] = subject
    message["Date"] = datetime.fromisoformat(event["time"])
    message["Message-ID"] = f"<{file_name(event['id'], '')}@shop.example>"
    message.set_content(text)
    return message
