"""JSON as AWS compares it: the text of every number is kept, and every one of the keys that occur twice."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from json import JSONDecodeError, JSONDecoder
from typing import Any

from msgspec import MsgspecError
from msgspec.json import Decoder, encode

SPACE = " \t\r\n"
SAFE = 10**15  # of the whole numbers below it, a double keeps all digits
OBJECT, ARRAY, SCALAR = "object", "array", "scalar"


class Pairs(list[tuple[str, Any]]):
    """A JSON object in the order of its text, with duplicate keys."""


class Digits(str):
    """The text of a JSON number."""

    __slots__ = ()


# A scalar as it is compared. AWS compares numbers by value as long as a double keeps all their digits, which are floats
# here, and by their text beyond that, which are Digits.
Scalar = str | bool | float | Digits | None

_KINDS = {Pairs: OBJECT, dict: OBJECT, list: ARRAY, Digits: SCALAR, type(None): SCALAR}
_KINDS |= dict.fromkeys((str, bool, int, float, Decimal), SCALAR)
_FAMILIES = (((str, int, float, Decimal), SCALAR), (Mapping, OBJECT), ((list, tuple), ARRAY))  # for types made of these


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=Pairs, parse_int=Digits, parse_float=Digits, parse_constant=_refuse)
_FLOAT, _FLOATS = Decoder(float).decode, Decoder(list[float]).decode  # a good deal faster than float()


def _double(text: str) -> float | None:
    """The value of a number, when the nearest double gives the number back."""
    raw = text.encode()
    try:
        value = _FLOAT(raw)
    except MsgspecError:  # it is infinite
        return None
    shortest = encode(value)
    if shortest == raw:
        return value
    if value == 0:
        return value if not text.lower().partition("e")[0].strip("-.0") else None  # 1e-400 is not zero
    return value if Decimal(shortest.decode()) == Decimal(text) else None


def number(text: str) -> float | Digits:
    """A number as it is compared, of its text."""
    double = _double(text)
    return Digits(text) if double is None else double


def parse(source: str | bytes) -> Any:
    """The JSON value that a text begins with; objects as `Pairs`, numbers as `Digits`.

    What follows the value is not read, as AWS does it. Raises ValueError with a sentence that says what is wrong.
    """
    try:
        text = source if isinstance(source, str) else source.decode()
        return _DECODER.raw_decode(text, len(text) - len(text.lstrip(SPACE)))[0]
    except JSONDecodeError as error:
        raise ValueError(f"not well-formed JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def kind_of(value: object) -> str | None:
    """Whether a value, parsed by `parse` or made by Python code, is a JSON OBJECT, ARRAY or SCALAR; else None."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    return next((kind for types, kind in _FAMILIES if isinstance(value, types)), None)


def members(value: Any) -> Iterable[tuple[str, Any]]:
    """The keys and values of a JSON object."""
    return value if isinstance(value, Pairs) else value.items()


def scalar(value: Any) -> Scalar:
    """A parsed JSON scalar as it is compared."""
    kind = type(value)
    found: Scalar = value
    if kind is Digits:
        return number(value)
    if kind is str or kind is bool or value is None:
        return found
    if kind is int and -SAFE < value < SAFE:
        return float(value)
    if kind is float and value - value == 0:
        return found
    if isinstance(value, str):
        return str(value)
    return number(repr(value) if isinstance(value, float) else str(Decimal(value)))  # str() of an int has a limit


def scalars(values: Sequence[Any]) -> Sequence[Scalar]:
    """Many of them at once. Raises TypeError if one is no JSON scalar."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return values
    if kinds == {Digits} and len(values) > 1:
        raw = f"[{','.join(values)}]".encode()
        with suppress(MsgspecError):
            doubles = _FLOATS(raw)
            if encode(doubles) == raw:  # all are written as short as can be
                return doubles
    return [scalar(value) for value in values]


def text_of(number: float | Digits) -> str:
    """A number as people write it: 300 and not 300.0."""
    whole = type(number) is float and -SAFE < number < SAFE and number == int(number)
    return str(int(number)) if whole else str(number)


def plain(value: Any) -> Any:
    """A parsed JSON value as json.loads gives it; a number that a double cannot keep stays a text."""
    kind = kind_of(value)
    if kind == OBJECT:
        return {key: plain(item) for key, item in members(value)}
    if kind == ARRAY:
        return [plain(item) for item in value]
    found = scalar(value)
    if type(found) is not float:
        return str(found) if isinstance(found, str) else found
    if not isinstance(value, str):
        return value if isinstance(value, int) else found
    return int(value) if value.removeprefix("-").isdigit() else found
