"""Sends e-mail to customers: the confirmation of a paid order, and the message that a payment was declined.

An e-mail goes into the outbox folder, where any mail program opens it. With SMTP_URL it is sent, too, and the copy in
the outbox keeps a repeated event from sending it again.
"""

import os
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Any

from samples.handlers.storage import folder, identity, write_whole

if os.environ.get("SMTP_URL"):
    from samples.systems.smtp_mail import send
else:

    def send(message: EmailMessage, context: Any) -> None:
        """Do nothing. Without a server only the copy in the outbox exists."""


SHOP = Address("The Shop", "orders", "shop.example")

CONFIRMATION = """\
Dear {name[first]},

thank you for your order {orderId}.
Your payment of {total:.2f} {currency} went through, and these are on their way:

{articles}

The Shop
"""

CONFIRMATION_HTML = """\
<p>Dear {name[first]},</p>
<p>thank you for your order {orderId}.<br>
Your payment of <b>{total:.2f} {currency}</b> went through, and these are on their way:</p>
<ul>
{articles}
</ul>
<p>The Shop</p>
"""

DECLINED = """\
Dear {name[first]},

your payment of {total:.2f} {currency} for order {orderId} was declined ({reason}).
Nothing was charged. Your cart is as you left it: please try another card.

The Shop
"""


def confirm_order(event: dict[str, Any], context: Any) -> None:
    """Inform the customer that the order is paid and will be sent."""
    paid = event["detail"]
    articles = "\n".join(f"    {item['quantity']} x {item['itemId']}" for item in paid["items"])
    rows = "\n".join(f"<li>{item['quantity']} x {item['itemId']}</li>" for item in paid["items"])
    safe = paid | {"name": {part: escape(name) for part, name in paid["name"].items()}}
    message = _message(event, f"Your order {paid['orderId']}", CONFIRMATION.format(**paid, articles=articles), context)
    message.add_alternative(CONFIRMATION_HTML.format(**safe, articles=rows), subtype="html")
    # A random boundary would make another message in each attempt.
    message.set_boundary(f"part-{identity(event)[:32]}")
    _send_once(event, message, context)


def tell_declined(event: dict[str, Any], context: Any) -> None:
    """Inform the customer that the payment was declined."""
    declined = event["detail"]
    subject = f"Your payment for order {declined['orderId']}"
    _send_once(event, _message(event, subject, DECLINED.format(**declined), context), context)


def _send_once(event: dict[str, Any], message: EmailMessage, context: Any) -> None:
    copy = folder("outbox") / f"{context.function_name}-{identity(event)[:32]}.eml"
    if copy.exists():
        return
    send(message, context)
    write_whole(copy, message.as_bytes(policy=SMTP))


def _message(event: dict[str, Any], subject: str, text: str, context: Any) -> EmailMessage:
    """Return the e-mail of a delivery. Each attempt creates the same one, including its date and Message-ID."""
    customer = event["detail"]
    message = EmailMessage()
    message["From"] = SHOP
    message["To"] = Address(f"{customer['name']['first']} {customer['name']['last']}", addr_spec=customer["email"])
    message["Subject"] = subject
    message["Date"] = datetime.fromisoformat(event["time"])
    # The same in each attempt, so that mail programs show a repeated message once.
    message["Message-ID"] = f"<{context.function_name}.{identity(event)[:32]}@shop.example>"
    message.set_content(text)
    return message
