"""JSON as AWS compares it: the text of every number is kept, and every one of the keys that occur twice."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from json import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple

SPACE = " \t\r\n"
SAFE_LENGTH = 15  # a decimal of so many characters always comes back from the nearest double as it was
OBJECT, ARRAY, SCALAR = "object", "array", "scalar"


class Pairs(list[tuple[str, Any]]):
    """A JSON object in the order of its text, with duplicate keys."""


class Digits(str):
    """The text of a JSON number."""

    __slots__ = ()


class Number(NamedTuple):
    """A number: `text` as it was written, and `double`, its value, when the nearest double gives the number back.

    AWS compares numbers by value as long as a double keeps all their digits, and by their text beyond that.
    """

    text: str
    double: float | None

    def equals(self, other: object) -> bool:
        """Whether the other value is the same number: 300, 300.0 and 3e2 are, 300 and "300" are not."""
        if type(other) is not Number:
            return False
        return self.text == other.text if self.double is None else self.double == other.double


Scalar = str | bool | Number | None

_KINDS = {Pairs: OBJECT, dict: OBJECT, list: ARRAY, Digits: SCALAR, Number: SCALAR, type(None): SCALAR}
_KINDS |= dict.fromkeys((str, bool, int, float, Decimal), SCALAR)
_FAMILIES = (((str, int, float, Decimal), SCALAR), (Mapping, OBJECT), ((list, tuple), ARRAY))  # for types made of these


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=Pairs, parse_int=Digits, parse_float=Digits, parse_constant=_refuse)


def _double(text: str) -> float | None:
    value = float(text)
    if len(text) <= SAFE_LENGTH and text.lstrip("-").replace(".", "").isdigit():
        return value
    if value == 0:
        return value if not text.lower().partition("e")[0].strip("-.0") else None  # 1e-400 is not zero
    if value in (float("inf"), float("-inf")) or value != value:
        return None
    return value if Decimal(repr(value)) == Decimal(text) else None


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
    """A parsed JSON scalar as it is compared: numbers as `Number`, all else as it is."""
    if type(value) is str or value is None or isinstance(value, (bool, Number)):
        return value
    if isinstance(value, Digits):
        return Number(str(value), _double(value))
    if isinstance(value, str):
        return str(value)
    text = repr(value) if isinstance(value, float) else str(Decimal(value))  # str() of an int has a limit of digits
    return Number(text, _double(text))


def plain(value: Any) -> Any:
    """A parsed JSON value as json.loads gives it; a number that a double cannot keep stays a text."""
    kind = kind_of(value)
    if kind == OBJECT:
        return {key: plain(item) for key, item in members(value)}
    if kind == ARRAY:
        return [plain(item) for item in value]
    value = scalar(value)
    if not isinstance(value, Number):
        return value
    if value.double is None:
        return value.text
    return int(value.text) if value.text.lstrip("-").isdigit() else value.double
