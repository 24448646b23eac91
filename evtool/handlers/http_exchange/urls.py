"""URLs and headers of http handlers: what they may be, and addresses that evtool never calls."""

import ipaddress
import re
import socket
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

PORTS = {"http": 80, "https": 443}
NEVER_CALLED = "has a link-local address, which evtool never calls"

# what evtool or HTTP itself decides
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
_AWS_METADATA = ipaddress.ip_address("fd00:ec2::254")  # the instance metadata service over IPv6
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
    """The parts of an http or https URL. Raises ValueError with what is wrong, without the text."""
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
        raise ValueError("names no host")
    if port == 0:
        raise ValueError("has the port 0")
    query = ""
    if parts.query:
        query = f"?{parts.query}"
    target = quote(f"{parts.path or '/'}{query}", safe=_SAFE_IN_TARGET)
    return Url(parts.scheme, _encode_host(parts.hostname), port or PORTS[parts.scheme], target)


def _encode_host(host: str) -> str:
    """The name of a host in ASCII. Raises ValueError."""
    try:
        if not host.isascii():
            name = host.encode("idna").decode()
        else:
            name = host
    except UnicodeError:
        raise ValueError("has a host name that is not valid") from None
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", name) or any(len(label) > 63 for label in name.split(".")):
        raise ValueError("has a host name that is not valid")
    return name


def find_url_problem(text: str) -> str | None:
    """The problem of a URL in routes.yaml, or None. The values of `${NAME}` are not known yet."""
    if "${" in text:
        is_open = text.startswith("${") or re.match(r"https?://", text)
        if is_open:
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
    """What is wrong with the name of a header, or None."""
    if not re.fullmatch(HEADER_NAME, name):
        return "is not the name of a header"
    is_reserved = name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-")
    if is_reserved:
        return "is set by evtool"
    return None


def has_problem(options: Any) -> bool:
    """Whether the values of an http handler in routes.yaml, which have the right types, are wrong."""
    url, headers = options.get("http", ""), options.get("headers", {})
    return bool(find_url_problem(url)) or any(find_header_problem(name) for name in headers)


def is_link_local(host: str) -> bool:
    """Whether a host is a link-local address, in any notation: cloud metadata services have one. False for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:  # `169.254.43518`, `0xA9FEA9FE`: the resolver takes such a number, too
            address = ipaddress.ip_address(socket.inet_aton(host.rstrip(".")))
        except (OSError, ValueError):
            return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner_address(address)
        return address == _AWS_METADATA or address in _LINK_LOCAL[1] or (inner is not None and inner in _LINK_LOCAL[0])
    return address in _LINK_LOCAL[0]


def _inner_address(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address contains."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address in _NAT64 or address in _NAT64_LOCAL or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
