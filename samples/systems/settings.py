"""Reads the variables of real systems. Their values may contain secrets, so messages do not show them."""

import os
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Address(NamedTuple):
    """The parts of a server's URL."""

    scheme: str
    host: str
    port: int | None
    user: str
    password: str


def read_key(variable: str) -> str:
    """Return the key in an environment variable. Raises ValueError, without the value.

    A line end, which a file with a key often has, is cut off: as part of a header it would be refused with a message
    that contains the key.
    """
    key = os.environ[variable].strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{variable} is not a key: it contains a blank, a control character or a non-ASCII one")
    return key


def read_url(variable: str, *schemes: str) -> Address:
    """Return the server in an environment variable. Raises ValueError, without the value."""
    form = f"{schemes[0]}://USER:PASSWORD@HOST:PORT"
    try:
        url = urlsplit(os.environ[variable])
        address = Address(
            url.scheme, url.hostname or "", url.port, unquote(url.username or ""), unquote(url.password or "")
        )
    except ValueError:
        # The message of the library repeats a part of the URL, which may be the password.
        hint = "write @ : / in a password as %40 %3A %2F"
        raise ValueError(f"{variable} is not a URL of the form {form}; {hint}") from None
    if address.scheme not in schemes or not address.host:
        raise ValueError(f"{variable} is not a URL of the form {form}")
    return address
