"""JSON values as AWS compares them. Duplicate keys and the texts of numbers are kept.

AWS compares a number by its value as long as a double holds all its digits, otherwise by its text:

    300, 300.0, 3e2      floats that are equal
    9007199254740993     NumberText: the nearest double is 9007199254740992, which is another number
    1e-400               NumberText: the nearest double is 0
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from json import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple

from evtool.patterns.unknown import Unknown

WHITESPACE = " \t\r\n"
# A double holds every decimal number of 15 significant digits.
SAFE_DIGITS = 15
# A double holds all digits of the integers below this limit.
SAFE_INTEGER_LIMIT = 10**SAFE_DIGITS
OBJECT, ARRAY, SCALAR = "object", "array", "scalar"


class Pairs(list[tuple[str, Any]]):
    """A JSON object as (key, value) pairs in the order of its text, with duplicate keys."""


class NumberText(str):
    """The text of a JSON number."""

    __slots__ = ()


# A scalar in the form in which it is compared. A number is a float if it is compared by value, a NumberText if it is
# compared by its text.
Scalar = str | bool | float | NumberText | None

_KINDS = {Pairs: OBJECT, dict: OBJECT, list: ARRAY, NumberText: SCALAR, type(None): SCALAR}
_KINDS |= dict.fromkeys((str, bool, int, float, Decimal), SCALAR)
# For subclasses of these types, and for other mappings. Slower than the table of exact types above.
_KINDS_BY_BASE = (
    ((str, int, float, Decimal), SCALAR),
    (Mapping, OBJECT),
    ((list, tuple), ARRAY),
)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=Pairs, parse_int=NumberText, parse_float=NumberText, parse_constant=_refuse)


class _Codec(NamedTuple):
    """The functions of msgspec for numbers, which are faster than float() and repr()."""

    decode: Callable[[bytes], float]
    decode_list: Callable[[bytes], list[float]]
    encode: Callable[[Any], bytes]
    error: type[Exception]


_loaded_codec: list[_Codec] = []


def _get_codec() -> _Codec:
    if _loaded_codec:
        return _loaded_codec[0]
    # Imported late: `evtool validate` compiles patterns, and most patterns have no long numbers.
    from msgspec import MsgspecError  # noqa: PLC0415
    from msgspec.json import Decoder, encode  # noqa: PLC0415

    _loaded_codec.append(_Codec(Decoder(float).decode, Decoder(list[float]).decode, encode, MsgspecError))
    return _loaded_codec[0]


def _to_double(text: str) -> float | None:
    """Returns the double nearest to a number, or None if its shortest decimal form is another number."""
    if len(text) <= SAFE_DIGITS and text.isdigit():
        return float(text)
    codec = _get_codec()
    raw = text.encode()
    try:
        value = codec.decode(raw)
    except codec.error:
        # The number is beyond the largest double.
        return None
    shortest = codec.encode(value)
    # Most numbers are already in their shortest form. Decimal would take much longer.
    if shortest == raw:
        return value
    if value == 0:
        # 1e-400 becomes 0, but is another number than 0.
        digits = text.lower().partition("e")[0].strip("-.0")
        if digits:
            return None
        return value
    if Decimal(shortest.decode()) == Decimal(text):
        return value
    return None


# Cached: several patterns ask for the same number of an event, and amounts such as 9.95 occur in many events.
@lru_cache(maxsize=4096)
def parse_number(text: str) -> float | NumberText:
    """Returns the text of a number in the form in which it is compared."""
    value = _to_double(text)
    if value is None:
        return NumberText(text)
    return value


def parse_lossless(source: str | bytes) -> Any:
    """Parses the JSON value at the beginning of a text. Objects become `Pairs`, numbers `NumberText`.

    Like AWS, it ignores text after the value. Raises ValueError with a description of the problem.
    """
    try:
        text = source
        if isinstance(text, bytes):
            text = text.decode()
        start = len(text) - len(text.lstrip(WHITESPACE))
        value, _ = _DECODER.raw_decode(text, start)
        return value
    except JSONDecodeError as error:
        raise ValueError(f"not well-formed JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def kind_of(value: object) -> str | None:
    """Returns OBJECT, ARRAY or SCALAR for a parsed value or a value of Python code; None if JSON has no such value."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    for types, kind in _KINDS_BY_BASE:
        if isinstance(value, types):
            return kind
    return None


def members_of(value: Any) -> Iterable[tuple[str, Any]]:
    """Returns the keys and values of a JSON object."""
    if isinstance(value, Pairs):
        return value
    members: Iterable[tuple[str, Any]] = value.items()
    return members


def to_scalar(value: Any) -> Scalar:
    """Returns a parsed JSON scalar in the form in which it is compared."""
    kind = type(value)
    result: Scalar = value
    if kind is NumberText:
        return parse_number(value)
    if kind is str or kind is bool or value is None:
        return result
    if kind is int and -SAFE_INTEGER_LIMIT < value < SAFE_INTEGER_LIMIT:
        return float(value)
    # The difference is NaN for an infinite float, which the decoders of evtool do not produce.
    if kind is float and value - value == 0:
        return result
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return parse_number(repr(value))
    # Python refuses str() of an integer with more than 4,300 digits, but not of a Decimal.
    return parse_number(str(Decimal(value)))


def to_scalars(values: Sequence[Any]) -> Sequence[Scalar]:
    """Converts many scalars at once, which is faster. Raises TypeError if one is not a JSON scalar."""
    types = set(map(type, values))
    if types == {str}:
        return values
    if types == {NumberText} and len(values) > 1:
        codec = _get_codec()
        raw = f"[{','.join(values)}]".encode()
        with suppress(codec.error):
            doubles = codec.decode_list(raw)
            # Then all numbers are in their shortest form.
            if codec.encode(doubles) == raw:
                return doubles
    return [to_scalar(value) for value in values]


def format_number(number: float | NumberText) -> str:
    """Formats a number as people write it: 300, not 300.0."""
    is_whole = type(number) is float and -SAFE_INTEGER_LIMIT < number < SAFE_INTEGER_LIMIT and number == int(number)
    if is_whole:
        return str(int(number))
    return str(number)


def to_python(value: Any) -> Any:
    """Returns a parsed JSON value as json.loads does. A number that a double cannot hold becomes a string.

    Unknown values are kept.
    """
    kind = kind_of(value)
    if kind == OBJECT:
        return {key: to_python(item) for key, item in members_of(value)}
    if kind == ARRAY:
        return [to_python(item) for item in value]
    if kind is None and isinstance(value, Unknown):
        return value
    result = to_scalar(value)
    if isinstance(result, str):
        return str(result)
    # An integer stays an integer, so that 300 is printed as 300.
    if type(result) is float and isinstance(value, int):
        return value
    if type(result) is float and isinstance(value, str) and value.removeprefix("-").isdigit():
        return int(value)
    return result
