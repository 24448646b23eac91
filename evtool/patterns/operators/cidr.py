"""`cidr`, and IP addresses as AWS compares them: as 8 or 32 hexadecimal digits.

The digits of an address decide:

    10.0.0.0/8      the block from "0A000000" to "0AFFFFFF"
    10.1.2.3        "0A010203", in the block
    ::ffff:a01:203  "0A010203", the same address as an IPv6 address
    2001:db8::1     "20010DB8000000000000000000000001"
"""

import re
from typing import Any, NamedTuple

from evtool.patterns.json_values import NumberText, Scalar, format_number
from evtool.patterns.operators.arguments import ArgumentError, Test, require_string

# Characters of 255.255.255.255. AWS does not accept more leading zeros than fit.
MAX_IPV4_LENGTH = 15
# A block with fewer bits contains numbers by their first digit.
WIDE_BITS = 4
# AWS reads the bits of a mask as a Java int.
MAX_INT = 2**31 - 1
_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_IPV6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_DIGITS = re.compile("[0-9A-F]*")
# The digits before an IPv4 address that is written as an IPv6 address: ::ffff:a01:203 is 10.1.2.3.
_MAPPED_IPV4 = "0" * 20 + "FFFF"


class AddressBlock(NamedTuple):
    """A range of addresses: the digits of the first and the last one."""

    first: str
    last: str

    def contains(self, digits: str) -> bool:
        """Returns whether an address is in the range.

        Like AWS's engine, it does not distinguish IPv4 from IPv6: the leading digits decide, so 0.0.0.0/0 contains
        ::1. Digits that are shorter than those of the range must be between the digits of both ends, not equal to them.
        """
        leading = digits[: len(self.first)]
        if len(leading) == len(self.first):
            return self.first <= leading <= self.last
        return self.first[: len(leading)] < leading < self.last[: len(leading)]


def _parse_ipv4(text: str) -> str | None:
    if len(text) > MAX_IPV4_LENGTH:
        return None
    octets = [int(octet) for octet in text.split(".")]
    if max(octets) > 255:
        return None
    return bytes(octets).hex().upper()


def _split_groups(text: str) -> list[str] | None:
    """Returns the groups of a part of an IPv6 address, each with 4 digits; None if one is not a group."""
    if not text:
        return []
    groups = []
    for group in text.split(":"):
        digits = group.lstrip("0")
        # AWS accepts any number of leading zeros, but not an empty group.
        if not group or len(digits) > 4:
            return None
        groups.append(digits.zfill(4))
    return groups


def _parse_ipv6(text: str) -> str | None:
    head, gap, tail = text.partition("::")
    front, back = _split_groups(head), _split_groups(tail)
    if front is None or back is None:
        return None
    count = len(front) + len(back)
    # "::" replaces at least one group.
    is_complete = count == 8
    if gap:
        is_complete = count < 8
    if not is_complete:
        return None
    digits = "".join(front + ["0000"] * (8 - count) + back).upper()
    if digits.startswith(_MAPPED_IPV4):
        return digits.removeprefix(_MAPPED_IPV4)
    return digits


def is_address_like(text: str) -> bool:
    """Returns whether a text has the characters of an IPv4 or IPv6 address. 300.1.1.1 and 12:30 have them, too."""
    return bool(_IPV4.fullmatch(text) or _IPV6.fullmatch(text))


def parse_address(text: str) -> str | None:
    """Returns the 8 or 32 hexadecimal digits of an IPv4 or IPv6 address, or None if the text is not an address.

    Leading zeros, and letters of either case, are allowed. An IPv6 address that contains an IPv4 address is that one.
    """
    if _IPV4.fullmatch(text):
        return _parse_ipv4(text)
    if _IPV6.fullmatch(text):
        return _parse_ipv6(text)
    return None


def find_digits(value: Scalar) -> str | None:
    """Returns the digits that `cidr` compares: those of an address or, like AWS, the leading digits of a number."""
    if type(value) is str:
        return parse_address(value)
    match = None
    if isinstance(value, float | NumberText):
        match = _DIGITS.match(format_number(value))
    if match:
        return match[0]
    return None


def parse_cidr(text: str) -> AddressBlock:
    """Returns the addresses of a CIDR text such as 10.0.0.0/8. Bits of the host are ignored.

    Raises ValueError with the message of AWS.
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
        family = "IPv6"
        if width == 32:
            family = "IPv4"
        raise ValueError(f"{family} mask bits must be < {width}")
    host = (1 << (width - mask)) - 1
    first = int(digits, 16) & ~host
    return AddressBlock(f"{first:0{len(digits)}X}", f"{first | host:0{len(digits)}X}")


def count_bits(text: str) -> int:
    """Returns the number of bits of the mask of a valid CIDR text."""
    return int(text.rstrip("/").partition("/")[2])


def cidr(argument: Any) -> Test:
    """`{"cidr": "10.0.0.0/8"}`."""
    # AWS's message names the operator "prefix" here.
    text = require_string(argument, "prefix match pattern must be a string")
    try:
        block = parse_cidr(text)
    except ValueError as error:
        hint = None
        if "must be <" in str(error):
            hint = "for one address, write the address without a mask"
        raise ArgumentError(str(error), hint=hint) from None

    def holds(value: Scalar) -> bool:
        digits = find_digits(value)
        return digits is not None and block.contains(digits)

    return holds
