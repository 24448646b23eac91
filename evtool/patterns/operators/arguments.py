"""Checks of operator arguments that all operators share, and the error that they raise."""

from collections.abc import Callable
from typing import Any

from evtool.patterns.json_values import ARRAY, SCALAR, NumberText, Scalar, kind_of, members_of, to_scalar

Test = Callable[[Scalar], bool]  # of one value of an event
StringTest = Callable[[str], bool]  # the same for strings only

ONE_KEY = "Only one key allowed in match expression"
TOO_MANY = "Too many elements in numeric expression"


class ArgumentError(Exception):
    """An alternative of a pattern that cannot be used; `path` leads from it to the part that is wrong."""

    def __init__(self, message: str, *path: str | int, hint: str | None = None, code: str = "EV203"):
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint
        self.code = code


def is_string(value: object) -> bool:
    """Whether a parsed JSON value is a string."""
    return kind_of(value) == SCALAR and type(to_scalar(value)) is str


def is_number(value: object) -> bool:
    """Whether a parsed JSON value is a number."""
    return kind_of(value) == SCALAR and type(to_scalar(value)) in (float, NumberText)


def require_string(value: Any, message: str, *path: str | int) -> str:
    """The operand, which must be a string."""
    if is_string(value):
        return str(value)
    hint = None
    if kind_of(value) == ARRAY:
        hint = "it takes one value: write an operator for each"
    raise ArgumentError(message, *path, hint=hint)


def require_number(value: Any, message: str, *path: str | int) -> float | NumberText:
    """The operand, which must be a number."""
    if is_number(value):
        result: float | NumberText = to_scalar(value)  # type: ignore[assignment]  # which is_number has told
        return result
    raise ArgumentError(message, *path, hint="write the number without quotes" if is_string(value) else None)


def require_double(value: float | NumberText, *path: str | int) -> float:
    """The value of a number, which must be one that can be compared by value."""
    if isinstance(value, NumberText):
        hint = "it is more than a double can keep"
        raise ArgumentError(f"Cannot compare number : {value}", *path, hint=hint)
    return value


def require_first_key(argument: Any, missing: str) -> tuple[str, Any]:
    """The first key of an operator object, and its value."""
    for key, value in members_of(argument):
        return str(key), value
    raise ArgumentError(missing, code="EV201")


def require_single_key(argument: Any, message: str, *path: str | int) -> None:
    """Refuses an operator object with more than one key."""
    keys = [str(key) for key, _ in members_of(argument)]
    if len(keys) > 1:
        raise ArgumentError(message, *path, keys[1], hint="write an object for each operator", code="EV201")


def restrict_to_strings(test: StringTest) -> Test:
    """The test that only strings pass for which `test` holds."""
    return lambda value: type(value) is str and test(value)
