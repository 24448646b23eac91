"""Sends e-mail through the server at SMTP_URL: smtp://HOST (port 25, TLS if offered) or smtps://HOST (port 465)."""

import smtplib
import ssl
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Any

from samples.systems.settings import Address, read_url

# Seconds for each step. The handler itself has 10.
TIMEOUT = 8
# The server is closing the connection; the client may try again later.
NOT_NOW = 421


def send(message: EmailMessage, context: Any) -> None:
    """Send a message. A server that is closing is not available; any other refusal raises."""
    address = read_url("SMTP_URL", "smtp", "smtps")
    try:
        with _connect(address) as server:
            if address.user:
                server.login(address.user, address.password)
            server.send_message(message)
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        if NOT_NOW in _codes(error):
            context.unavailable(f"the mail server answers {NOT_NOW}")
        raise


def _connect(address: Address) -> smtplib.SMTP:
    tls = ssl.create_default_context()
    if address.scheme == "smtps":
        return smtplib.SMTP_SSL(address.host, address.port or 465, timeout=TIMEOUT, context=tls)
    server = smtplib.SMTP(address.host, address.port or 25, timeout=TIMEOUT)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=tls)
        server.ehlo()
    elif address.user and not _is_loopback(address.host):
        server.close()
        raise ValueError("SMTP_URL has a password, and its server offers no TLS: the password is not sent")
    return server


def _codes(error: smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused) -> list[int]:
    if isinstance(error, smtplib.SMTPResponseException):
        return [error.smtp_code]
    return [code for code, _ in error.recipients.values()]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
