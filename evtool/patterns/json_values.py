"""JSON values as AWS compares them: the text of numbers and duplicate keys are kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from json import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple

from evtool.patterns.unknown import Unknown

WHITESPACE = " \t\r\n"
SAFE_DIGITS = 15
SAFE_INTEGER_LIMIT = 10**SAFE_DIGITS  # of the whole numbers below it, a double keeps all digits
OBJECT, ARRAY, SCALAR = "object", "array", "scalar"


class Pairs(list[tuple[str, Any]]):
    """A JSON object in the order of its text, with duplicate keys."""


class NumberText(str):
    """The text of a JSON number."""

    __slots__ = ()


# A scalar as it is compared. AWS compares numbers by value as long as a double keeps all their digits, which are floats
# here, and by their text beyond that, which are NumberText.
Scalar = str | bool | float | NumberText | None

_KINDS = {Pairs: OBJECT, dict: OBJECT, list: ARRAY, NumberText: SCALAR, type(None): SCALAR}
_KINDS |= dict.fromkeys((str, bool, int, float, Decimal), SCALAR)
_KINDS_BY_BASE = (
    ((str, int, float, Decimal), SCALAR),
    (Mapping, OBJECT),
    ((list, tuple), ARRAY),
)  # for types made of these


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=Pairs, parse_int=NumberText, parse_float=NumberText, parse_constant=_refuse)


class _Codec(NamedTuple):
    """What decodes and encodes numbers, a good deal faster than float() and repr()."""

    decode: Callable[[bytes], float]
    decode_list: Callable[[bytes], list[float]]
    encode: Callable[[Any], bytes]
    error: type[Exception]


_loaded_codec: list[_Codec] = []


def _load_codec() -> _Codec:
    from msgspec import MsgspecError  # noqa: PLC0415  (`evtool validate` compiles patterns, and mostly needs it not)
    from msgspec.json import Decoder, encode  # noqa: PLC0415

    _loaded_codec.append(_Codec(Decoder(float).decode, Decoder(list[float]).decode, encode, MsgspecError))
    return _loaded_codec[0]


def _to_double(text: str) -> float | None:
    """The value of a number, when the nearest double gives the number back."""
    if len(text) <= SAFE_DIGITS and text.isdigit():
        return float(text)
    if _loaded_codec:
        decode, _, encode, error = _loaded_codec[0]
    else:
        decode, _, encode, error = _load_codec()
    raw = text.encode()
    try:
        value = decode(raw)
    except error:  # it is infinite
        return None
    shortest = encode(value)
    if shortest == raw:
        return value
    if value == 0:
        # 1e-400 is not zero
        if not text.lower().partition("e")[0].strip("-.0"):
            return value
        return None
    if Decimal(shortest.decode()) == Decimal(text):
        return value
    return None


@lru_cache(maxsize=4096)  # several patterns ask for the same number, and amounts come again
def parse_number(text: str) -> float | NumberText:
    """A number as it is compared, of its text."""
    value = _to_double(text)
    if value is None:
        return NumberText(text)
    return value


def parse_lossless(source: str | bytes) -> Any:
    """The JSON value that a text begins with; objects as `Pairs`, numbers as `NumberText`.

    What follows the value is not read, as AWS does it. Raises ValueError with a sentence that says what is wrong.
    """
    try:
        if isinstance(source, str):
            text = source
        else:
            text = source.decode()
        return _DECODER.raw_decode(text, len(text) - len(text.lstrip(WHITESPACE)))[0]
    except JSONDecodeError as error:
        raise ValueError(f"not well-formed JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def kind_of(value: object) -> str | None:
    """Whether a value, parsed by `parse_json` or made by Python code, is a JSON OBJECT, ARRAY or SCALAR; else None."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    return next((kind for types, kind in _KINDS_BY_BASE if isinstance(value, types)), None)


def members_of(value: Any) -> Iterable[tuple[str, Any]]:
    """The keys and values of a JSON object."""
    return value if isinstance(value, Pairs) else value.items()


def to_scalar(value: Any) -> Scalar:
    """A parsed JSON scalar as it is compared."""
    kind = type(value)
    result: Scalar = value
    if kind is NumberText:
        return parse_number(value)
    if kind is str or kind is bool or value is None:
        return result
    if kind is int and -SAFE_INTEGER_LIMIT < value < SAFE_INTEGER_LIMIT:
        return float(value)
    if kind is float and value - value == 0:
        return result
    if isinstance(value, str):
        return str(value)
    return parse_number(repr(value) if isinstance(value, float) else str(Decimal(value)))  # str() of an int has a limit


def to_scalars(values: Sequence[Any]) -> Sequence[Scalar]:
    """Many of them at once. Raises TypeError if one is no JSON scalar."""
    types = set(map(type, values))
    if types == {str}:
        return values
    if types == {NumberText} and len(values) > 1:
        if _loaded_codec:
            _, decode_list, encode, error = _loaded_codec[0]
        else:
            _, decode_list, encode, error = _load_codec()
        raw = f"[{','.join(values)}]".encode()
        with suppress(error):
            doubles = decode_list(raw)
            if encode(doubles) == raw:  # all are written as short as can be
                return doubles
    return [to_scalar(value) for value in values]


def format_number(number: float | NumberText) -> str:
    """A number as people write it: 300 and not 300.0."""
    is_whole = type(number) is float and -SAFE_INTEGER_LIMIT < number < SAFE_INTEGER_LIMIT and number == int(number)
    if is_whole:
        return str(int(number))
    return str(number)


def to_python(value: Any) -> Any:
    """A parsed JSON value as json.loads gives it; a number that a double cannot keep stays a text.

    What is unknown in it stays so.
    """
    kind = kind_of(value)
    if kind == OBJECT:
        return {key: to_python(item) for key, item in members_of(value)}
    if kind == ARRAY:
        return [to_python(item) for item in value]
    if kind is None and isinstance(value, Unknown):
        return value
    result = to_scalar(value)
    if type(result) is not float:
        if isinstance(result, str):
            return str(result)
        return result
    if not isinstance(value, str):
        if isinstance(value, int):
            return value
        return result
    if value.removeprefix("-").isdigit():
        return int(value)
    return result
