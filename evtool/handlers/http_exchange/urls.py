"""Checks URLs and headers of http handlers, and finds addresses that evtool never calls."""

import ipaddress
import re
import socket
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

PORTS = {"http": 80, "https": 443}
NEVER_CALLED = "has a link-local address, which evtool never calls"

# Headers that evtool or the HTTP client sets.
RESERVED_HEADERS = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"

_LINK_LOCAL = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))

# The instance metadata service of AWS over IPv6. It is not link-local, but gives credentials, too.
_AWS_METADATA = ipaddress.ip_address("fd00:ec2::254")

# IPv6 addresses that contain an IPv4 address: a gateway may translate them (RFC 6052, RFC 8215).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")
_SAFE_IN_TARGET = "/%:@!$&'()*+,;=-._~?"


class Url(NamedTuple):
    """The parts of a URL. `target` is the path with the query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """The URL without its path."""
        if ":" in self.host:
            host = f"[{self.host}]"
        else:
            host = self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_url(text: str) -> Url:
    """Parses an http or https URL. Raises ValueError with the problem, but without the text, which may be secret."""
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("contains a space or a control character")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not valid: its host or port cannot be read") from None
    if parts.scheme not in PORTS:
        raise ValueError("should begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("contains a user name: set a header `Authorization` instead")
    if not parts.hostname:
        raise ValueError("has no host")
    if port == 0:
        raise ValueError("has the port 0")
    query = ""
    if parts.query:
        query = f"?{parts.query}"
    target = quote(f"{parts.path or '/'}{query}", safe=_SAFE_IN_TARGET)
    return Url(parts.scheme, _encode_host(parts.hostname), port or PORTS[parts.scheme], target)


def _encode_host(host: str) -> str:
    """Returns the name of a host in ASCII. Raises ValueError."""
    name = host
    if not host.isascii():
        try:
            name = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError("has a host name that is not valid") from None
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", name) or any(len(label) > 63 for label in name.split(".")):
        raise ValueError("has a host name that is not valid")
    return name


def find_url_problem(text: str) -> str | None:
    """Returns the problem of a URL in routes.yaml, or None. The values of `${NAME}` are not known yet."""
    if "${" in text:
        if text.startswith("${") or re.match(r"https?://", text):
            return None
        return "should begin with https:// or http://, or with ${NAME}"
    try:
        url = parse_url(text)
    except ValueError as error:
        return str(error)
    if is_link_local(url.host):
        return NEVER_CALLED
    return None


def find_header_problem(name: str) -> str | None:
    """Returns the problem of the name of a header, or None."""
    if not re.fullmatch(HEADER_NAME, name):
        return "is not the name of a header"
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-"):
        return "is set by evtool"
    return None


def has_problem(options: Any) -> bool:
    """Whether the values of an http handler in routes.yaml have a problem. Their types are right."""
    url, headers = options.get("http", ""), options.get("headers", {})
    return bool(find_url_problem(url)) or any(find_header_problem(name) for name in headers)


def is_link_local(host: str) -> bool:
    """Whether a host is a link-local address, in any notation: cloud metadata services have one. False for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # The resolver also accepts numbers such as `169.254.43518` and `0xA9FEA9FE`.
        try:
            address = ipaddress.ip_address(socket.inet_aton(host.rstrip(".")))
        except (OSError, ValueError):
            return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner_address(address)
        return address == _AWS_METADATA or address in _LINK_LOCAL[1] or (inner is not None and inner in _LINK_LOCAL[0])
    return address in _LINK_LOCAL[0]


def _inner_address(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Returns the IPv4 address that an IPv6 address contains, or None."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address in _NAT64 or address in _NAT64_LOCAL or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
