"""`cidr`, and IP addresses as AWS compares them: as 8 or 32 hexadecimal digits."""

import re
from typing import Any, NamedTuple

from evtool.patterns.json_values import NumberText, Scalar, format_number
from evtool.patterns.operators.arguments import ArgumentError, Test, require_string

MAX_IPV4_LENGTH = 15
WIDE_BITS = 4  # a block of fewer bits takes numbers by their first digit
MAX_INT = 2**31 - 1
_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_IPV6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_DIGITS = re.compile("[0-9A-F]*")
_MAPPED_IPV4 = "0" * 20 + "FFFF"  # ::ffff:a.b.c.d is the IPv4 address a.b.c.d


class AddressBlock(NamedTuple):
    """A range of addresses: the digits of the first and the last."""

    first: str
    last: str

    def contains(self, digits: str) -> bool:
        """Whether an address is in the range.

        Families are not told apart, as in AWS' engine: the leading digits decide, so 0.0.0.0/0 holds ::1 as well.
        A shorter address is in the range when its digits lie between those of both ends, not on them.
        """
        leading = digits[: len(self.first)]
        if len(leading) == len(self.first):
            return self.first <= leading <= self.last
        return self.first[: len(leading)] < leading < self.last[: len(leading)]


def _parse_ipv4(text: str) -> str | None:
    if len(text) <= MAX_IPV4_LENGTH:
        octets = [int(octet) for octet in text.split(".")]
    else:
        octets = [256]
    if max(octets) < 256:
        return bytes(octets).hex().upper()
    return None


def _split_groups(text: str) -> list[str]:
    if text:
        return text.split(":")
    return []


def _parse_ipv6(text: str) -> str | None:
    head, gap, tail = text.partition("::")
    front, back = _split_groups(head), _split_groups(tail)
    groups = [group.lstrip("0") or "0" if group else "" for group in front + back]
    if any(not 1 <= len(group) <= 4 for group in groups):
        return None
    if len(groups) > 7 if gap else len(groups) != 8:
        return None
    zeros = ["0"] * (8 - len(groups))
    digits = "".join(group.zfill(4) for group in groups[: len(front)] + zeros + groups[len(front) :]).upper()
    if digits.startswith(_MAPPED_IPV4):
        return digits.removeprefix(_MAPPED_IPV4)
    return digits


def is_address_like(text: str) -> bool:
    """Whether a text has the characters of an IPv4 or IPv6 address; 300.1.1.1 and 12:30 have them, too."""
    return bool(_IPV4.fullmatch(text) or _IPV6.fullmatch(text))


def parse_address(text: str) -> str | None:
    """The 8 or 32 hexadecimal digits of an IPv4 or IPv6 address, or None when the text is none.

    Leading zeros and either case are allowed; an IPv4 address in an IPv6 one is the former.
    """
    if _IPV4.fullmatch(text):
        return _parse_ipv4(text)
    if _IPV6.fullmatch(text):
        return _parse_ipv6(text)
    return None


def find_digits(value: Scalar) -> str | None:
    """The digits that `cidr` compares: those of an address, and as in the engine those that begin a number."""
    if type(value) is str:
        return parse_address(value)
    match = None
    if isinstance(value, float | NumberText):
        match = _DIGITS.match(format_number(value))
    if match:
        return match[0]
    return None


def parse_cidr(text: str) -> AddressBlock:
    """The addresses of a CIDR text such as 10.0.0.0/8; bits of the host are masked.

    Raises ValueError with AWS' words for what is wrong.
    """
    parts = text.rstrip("/").split("/")
    if len(parts) != 2:
        raise ValueError("Malformed CIDR, one '/' required")
    address, bits = parts
    if not re.fullmatch(r"[+-]?0*\d{1,10}", bits) or abs(int(bits)) > MAX_INT:
        raise ValueError("Malformed CIDR, mask bits must be an integer")
    mask = int(bits)
    if mask < 0:
        raise ValueError("Malformed CIDR, mask bits must not be negative")
    digits = parse_address(address)
    if digits is None:
        kind = "Nonstandard"
        if is_address_like(address):
            kind = "Invalid"
        raise ValueError(f"{kind} IP address: {address}")
    width = len(digits) * 4
    if mask >= width:
        raise ValueError(f"{'IPv4' if width == 32 else 'IPv6'} mask bits must be < {width}")
    host = (1 << (width - mask)) - 1
    first = int(digits, 16) & ~host
    return AddressBlock(f"{first:0{len(digits)}X}", f"{first | host:0{len(digits)}X}")


def count_bits(text: str) -> int:
    """The bits of the mask of a valid CIDR text."""
    return int(text.rstrip("/").partition("/")[2])


def cidr(argument: Any) -> Test:
    """`{"cidr": "10.0.0.0/8"}`."""
    text = require_string(argument, "prefix match pattern must be a string")  # AWS says prefix here, too
    try:
        block = parse_cidr(text)
    except ValueError as error:
        hint = None
        if "must be <" in str(error):
            hint = "for one address write the address itself"
        raise ArgumentError(str(error), hint=hint) from None
    return lambda value: (digits := find_digits(value)) is not None and block.contains(digits)
