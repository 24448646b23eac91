"""What an operator is given and what it makes of it: checks that all operators share, and how they refuse."""

from collections.abc import Callable
from typing import Any

from evtool.patterns.json_values import ARRAY, SCALAR, Digits, Scalar, kind_of, members, scalar

Test = Callable[[Scalar], bool]  # of one value of an event
Words = Callable[[str], bool]  # the same for strings only

ONE_KEY = "Only one key allowed in match expression"
TOO_MANY = "Too many elements in numeric expression"


class OperandError(Exception):
    """An alternative of a pattern that cannot be used; `path` leads from it to the part that is wrong."""

    def __init__(self, message: str, *path: str | int, hint: str | None = None, code: str = "EV203"):
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint
        self.code = code


def is_string(value: object) -> bool:
    """Whether a parsed JSON value is a string."""
    return kind_of(value) == SCALAR and type(scalar(value)) is str


def is_number(value: object) -> bool:
    """Whether a parsed JSON value is a number."""
    return kind_of(value) == SCALAR and type(scalar(value)) in (float, Digits)


def string(value: Any, message: str, *path: str | int) -> str:
    """The operand, which must be a string."""
    if is_string(value):
        return str(value)
    hint = "it takes one value: write an operator for each" if kind_of(value) == ARRAY else None
    raise OperandError(message, *path, hint=hint)


def number(value: Any, message: str, *path: str | int) -> float | Digits:
    """The operand, which must be a number."""
    if is_number(value):
        found: float | Digits = scalar(value)  # type: ignore[assignment]  # which is_number has told
        return found
    raise OperandError(message, *path, hint="write the number without quotes" if is_string(value) else None)


def double(value: float | Digits, *path: str | int) -> float:
    """The value of a number, which must be one that can be compared by value."""
    if isinstance(value, Digits):
        hint = "it is more than a double can keep"
        raise OperandError(f"Cannot compare number : {value}", *path, hint=hint)
    return value


def first(argument: Any, missing: str) -> tuple[str, Any]:
    """The first key of an operator object, and its value."""
    for key, value in members(argument):
        return str(key), value
    raise OperandError(missing, code="EV201")


def single(argument: Any, message: str, *path: str | int) -> None:
    """Refuses an operator object with more than one key."""
    keys = [str(key) for key, _ in members(argument)]
    if len(keys) > 1:
        raise OperandError(message, *path, keys[1], hint="write an object for each operator", code="EV201")


def on_strings(words: Words) -> Test:
    """The test that strings pass for which `words` holds, and nothing else."""
    return lambda value: type(value) is str and words(value)
