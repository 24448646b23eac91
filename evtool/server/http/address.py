"""Reads where the server listens and the file of its token."""

import ipaddress
import re
from pathlib import Path
from typing import NamedTuple

from evtool.errors import UsageError

MIN_TOKEN_LENGTH = 16
# An Authorization header and an access key id can have these characters.
_FORM = re.compile(r"[A-Za-z0-9._~+=-]+")
_GENERATOR = "python3 -c 'import secrets; print(secrets.token_hex(20))'"


class Address(NamedTuple):
    """A host name or address without brackets, and a port; 0 is any free port."""

    host: str
    port: int

    def format(self) -> str:
        """Returns the address as in a URL."""
        if ":" in self.host:
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Returns the address in `HOST:PORT`, `[IPv6]:PORT` or `PORT`. Raises UsageError."""
    host, separator, port = text.rpartition(":")
    if not separator:
        host = "127.0.0.1"
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host or not host:
        host = ""
    if not host or not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise UsageError(f"--listen: {text!r} is not an address such as 127.0.0.1:4010 or [::1]:4010")
    return Address(host, int(port))


def is_loopback(address: str) -> bool:
    """Returns whether an IP address is reached from this computer only."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def read_token(path: str) -> str:
    """Returns the token in a file: its only line. Raises UsageError, which does not show what is in the file."""
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise UsageError(f"--token-file: {path} cannot be read: {reason}; {describe_token()}") from None
    if len(token) < MIN_TOKEN_LENGTH or not _FORM.fullmatch(token):
        raise UsageError(f"--token-file: {path} has no token: {describe_token()}")
    return token


def describe_token() -> str:
    """Describes a token, and a command that makes one."""
    return (
        f"a token is one line of at least {MIN_TOKEN_LENGTH} letters, digits and . _ ~ + = -;"
        f" `{_GENERATOR} >FILE` makes one"
    )
