"""Misses: why a value does not hold for a condition, in words for a person, and how near it comes."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Condition
from evtool.patterns.json_values import Digits, Scalar, scalar, text_of
from evtool.patterns.operators.arguments import OperandError
from evtool.patterns.operators.cidr import digits_of
from evtool.patterns.operators.numeric import COMPARISONS
from evtool.patterns.operators.registry import OPERATORS
from evtool.patterns.operators.wildcard import tokens_of

SHOWN = 60  # characters of a value that a sentence repeats
COMPARED = 200  # characters of a text that are looked at for likeness
FAR = 0.1  # the closeness of what has nothing in common
NEAR = 0.8  # from here on a miss is told, whatever else does not hold
ALMOST = 0.95  # the closeness of what differs in form only: type, case, blanks


class Miss(NamedTuple):
    """Why something does not hold, and how near it comes: from 0 to 1, where 1 would hold."""

    closeness: float
    reason: str


# --- words -----------------------------------------------------------------------------------------------------------


def _text_of(value: Scalar) -> str:
    """A value as its JSON has it, a text without its quotes."""
    if type(value) is float:
        return text_of(value)
    return value if isinstance(value, str) else json.dumps(value)


def _kind(value: Scalar) -> str:
    if isinstance(value, float | Digits):
        return "number"
    return "null" if value is None else "string" if isinstance(value, str) else "boolean"


def _typed(value: Scalar, instead: str = "") -> str:
    """`300 is a number`, `"300" is a string`, `null is not a string`."""
    return f"null is not a {instead}" if value is None else f"{shown(value)} is a {_kind(value)}"


def _plainly(number: Decimal) -> str:
    number = number.normalize()
    return f"{number:f}" if -10 < number.adjusted() < 20 else f"{number:e}"


def shown(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    text = text_of(value) if isinstance(value, float | Digits) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def wanted(condition: Condition) -> str:
    """What a condition asks for: `"USD"`, `numeric > 0 and <= 5`, `prefix "shop."`."""
    if condition.operator == EQUALS:
        return shown(expected_of(condition))
    if condition.operator == "numeric":
        return "numeric " + " and ".join(f"{name} {bound}" for name, bound in terms(condition.expected))
    return f"{condition.operator} {shown(condition.expected)}"


# --- what a condition expects ----------------------------------------------------------------------------------------


def expected_of(condition: Condition) -> Scalar:
    """The value that a plain condition compares with; of a number that a double cannot keep only the text is left."""
    value = scalar(condition.expected)
    return Digits(value) if isinstance(value, str) and not condition.test(value) else value


def terms(expected: list[Any]) -> Iterator[tuple[str, Any]]:
    """The comparisons of `numeric`, each with its bound."""
    return zip(expected[::2], expected[1::2], strict=True)


def _holds(operator: str, expected: Any, value: Scalar) -> bool:
    """Whether another condition would hold."""
    try:
        return OPERATORS[operator](expected)(value)
    except OperandError:
        return False


# --- numbers ---------------------------------------------------------------------------------------------------------


def _off(value: float, bound: Any) -> Miss:
    """By how much a number misses a bound."""
    limit = Decimal(str(bound))
    gap = Decimal(repr(value)) - limit
    closeness = float(1 / (1 + abs(gap) / (abs(limit) or 1)))
    where = "below" if gap < 0 else "above"
    return Miss(max(FAR, NEAR * closeness), f"{text_of(value)} is {_plainly(abs(gap))} {where} {bound}")


def _numeric(condition: Condition, value: Scalar) -> Miss:
    if not isinstance(value, float | Digits):
        return _no_number(condition, value)
    if isinstance(value, Digits):
        return Miss(FAR, f"{shown(value)} has more digits than numeric can compare")
    name, bound = next(term for term in terms(condition.expected) if not COMPARISONS[term[0]](value, term[1]))
    if value == bound:
        side = "above" if name == ">" else "below"
        return Miss(NEAR, f"{text_of(value)} is not {side} {bound}: the bound itself does not count")
    return _off(value, bound)


def _no_number(condition: Condition, value: Scalar) -> Miss:
    said = f"{_typed(value, 'number')}, and numeric takes numbers only"
    try:
        number = scalar(json.loads(value)) if isinstance(value, str) else None
    except (ValueError, TypeError, RecursionError):
        number = None
    if isinstance(number, float) and condition.test(number):
        return Miss(ALMOST, f"{said}: without quotes it would hold")
    return Miss(FAR, said)


# --- plain values ----------------------------------------------------------------------------------------------------


def _equals(condition: Condition, value: Scalar) -> Miss:
    expected = expected_of(condition)
    if type(expected) is str and type(value) is str:
        return _other_text(expected, value)
    unlike = f"{shown(value)} is not {shown(expected)}"
    if isinstance(expected, float | Digits) and isinstance(value, float | Digits):
        if isinstance(value, float) and isinstance(expected, float):
            return _off(value, condition.expected)
        return Miss(FAR, f"{unlike}: numbers as long as this are compared digit by digit")
    if _kind(expected) == _kind(value) or expected is None or value is None:
        return Miss(FAR, unlike)
    same = _spells(value, expected) or _spells(expected, value)
    return Miss(ALMOST if same else FAR, f"{_typed(value)}, {_typed(expected)}")


def _spells(text: Scalar, value: Scalar) -> bool:
    """Whether a text spells another value: `"300"` is 300, `"true"` is true."""
    try:
        spelled = scalar(json.loads(text)) if type(text) is str else text
    except (ValueError, TypeError, RecursionError):
        return False
    return type(text) is str and spelled == value and type(spelled) is type(value)


def _other_text(expected: str, value: str) -> Miss:
    said, want = shown(value), shown(expected)
    if value.casefold() == expected.casefold():
        return Miss(ALMOST, f"{said} differs from {want} in upper and lower case only")
    if "".join(value.split()) == "".join(expected.split()):
        return Miss(ALMOST, f"{said} differs from {want} in blanks only")
    if unicodedata.normalize("NFKC", value) == unicodedata.normalize("NFKC", expected):
        return Miss(ALMOST, f"{said} looks like {want}, but is made of other characters")
    if "*" in expected and _holds("wildcard", expected, value):
        return Miss(0.9, f"{said} is not {want}: only in a wildcard a star stands for other characters")
    closeness = _likeness(expected, value)
    return Miss(closeness, f"{said} is near {want}, but not equal" if closeness >= NEAR else f"{said} is not {want}")


def _likeness(one: str, other: str) -> float:
    return max(FAR, 0.9 * SequenceMatcher(None, one[:COMPARED], other[:COMPARED], autojunk=False).ratio())


# --- operators on texts ----------------------------------------------------------------------------------------------


def _exactly(condition: Condition, value: str) -> Miss:
    if digits_of(value) is not None and digits_of(value) == digits_of(condition.expected):
        return Miss(ALMOST, f"{shown(value)} is the address {shown(condition.expected)}, but spelled in another way")
    return _other_text(condition.expected, value)


def _in_any_case(condition: Condition, value: str) -> Miss:
    said, want = shown(value), shown(condition.expected)
    return Miss(_likeness(condition.expected.lower(), value.lower()), f"{said} is not {want}, in upper or lower case")


def _prefix(condition: Condition, value: str) -> Miss:
    return _affix(condition, value, ("begin", "at the beginning"), lambda text: text)


def _suffix(condition: Condition, value: str) -> Miss:
    return _affix(condition, value, ("end", "at the end"), lambda text: text[::-1])


def _common(one: str, other: str) -> str:
    """What two texts both begin with."""
    unlike = (at for at, (here, there) in enumerate(zip(one, other, strict=False)) if here != there)
    return one[: next(unlike, min(len(one), len(other)))]


def _affix(condition: Condition, value: str, words: tuple[str, str], turned: Callable[[str], str]) -> Miss:
    """Of a suffix the same is told as of a prefix, with all texts turned round."""
    verb, place = words
    any_case = isinstance(condition.expected, dict)
    text = next(iter(condition.expected.values())) if any_case else condition.expected
    said, want, have = shown(value), shown(text), turned(value)
    if have.lower().startswith(turned(text).lower()) and not any_case:
        return Miss(ALMOST, f"{said} {verb}s with {want} in other upper and lower case only")
    if text in value:
        return Miss(NEAR, f"{said} has {want} in it, but not {place}")
    common = _common(have, turned(text))
    if 2 * len(common) < len(text):
        return Miss(max(FAR, NEAR * len(common) / len(text)), f"{said} does not {verb} with {want}")
    return Miss(NEAR * len(common) / len(text), f"{said} {verb}s with {shown(turned(common))}, but not with {want}")


def _wildcard(condition: Condition, value: str) -> Miss:
    said, want = shown(value), shown(condition.expected)
    if _holds("wildcard", condition.expected.lower(), value.lower()):
        return Miss(ALMOST, f"{said} differs from {want} in upper and lower case only")
    parts = [""]
    for token in tokens_of(condition.expected):
        parts = [*parts, ""] if token is None else [*parts[:-1], parts[-1] + token]
    if len(parts) == 1:
        return _other_text(parts[0], value)
    if not value.startswith(parts[0]):
        return Miss(FAR, f"{said} does not begin with {shown(parts[0])}, as {want} asks")
    at = len(parts[0])
    for number, part in enumerate(parts[1:-1], start=1):
        found = value.find(part, at)
        if found < 0:
            before = f" after {shown(value[:at])}" if at else ""
            return Miss(NEAR * number / len(parts), f"{said} has no {shown(part)}{before}, as {want} asks")
        at = found + len(part)
    if value.endswith(parts[-1]):
        return Miss(NEAR * (1 - 1 / len(parts)), f"{said} is too short for {want}, whose parts must not overlap")
    return Miss(NEAR * (1 - 1 / len(parts)), f"{said} does not end with {shown(parts[-1])}, as {want} asks")


def _cidr(condition: Condition, value: str) -> Miss:
    if digits_of(value) is not None:
        return Miss(0.4, f"{shown(value)} is not in the range {condition.expected}")
    bare = re.split(r"[/:%]", value)[0].strip("[] ")
    if _holds("cidr", condition.expected, bare):
        return Miss(ALMOST, f"{shown(value)} is not an IP address alone: {shown(bare)} would hold")
    return Miss(FAR, f"{shown(value)} is not an IP address")


TEXTS: dict[str, Callable[[Condition, str], Miss]] = {
    "cidr": _cidr,
    "equals-ignore-case": _in_any_case,
    "exactly": _exactly,
    "prefix": _prefix,
    "suffix": _suffix,
    "wildcard": _wildcard,
}


def _no_text(condition: Condition, value: Scalar) -> Miss:
    said = f"{_typed(value, 'string')}, and {condition.operator} takes strings only"
    if value is not None and condition.test(_text_of(value)):
        return Miss(ALMOST, f"{said}: in quotes it would hold")
    return Miss(FAR, said)


def _excluded(condition: Condition, value: Scalar) -> Miss:
    expected = condition.expected
    if not isinstance(expected, dict):
        among = "one of the values" if isinstance(expected, list) and len(expected) > 1 else "the value"
        return Miss(0.5, f"{shown(value)} is {among} that anything-but excludes")
    inner, texts = next(iter(expected.items()))
    each = texts if isinstance(texts, list) else [texts]
    culprit = next((text for text in each if not _holds("anything-but", {inner: text}, value)), texts)
    return Miss(0.5, f"{shown(value)} is excluded by anything-but {inner} {shown(culprit)}")


def miss(condition: Condition, value: Scalar) -> Miss:
    """Why a condition does not hold for a value, for which its test says no."""
    if condition.operator == EQUALS:
        return _equals(condition, value)
    if condition.operator == "numeric":
        return _numeric(condition, value)
    if condition.operator == "anything-but":
        return _excluded(condition, value)
    if condition.operator == "exists":
        return Miss(0.5, f"the field is there, with the value {shown(value)}")
    if not isinstance(value, str):
        return _no_text(condition, value)
    if condition.operator in TEXTS:
        return TEXTS[condition.operator](condition, value)
    return Miss(FAR, f"{shown(value)} does not hold for {wanted(condition)}")
