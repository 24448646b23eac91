"""Checks of operator arguments that the operators share, and the error for an invalid argument."""

from collections.abc import Callable
from typing import Any

from evtool.patterns.json_values import ARRAY, SCALAR, NumberText, Scalar, kind_of, members_of, to_scalar

# Returns whether a condition holds for one value of an event.
Test = Callable[[Scalar], bool]
# The same for a value that is a string.
StringTest = Callable[[str], bool]

# The messages are those of AWS, which uses the second one also for `anything-but`.
ONE_KEY = "Only one key allowed in match expression"
TOO_MANY = "Too many elements in numeric expression"


class ArgumentError(Exception):
    """An alternative of a pattern is invalid. `path` leads from the alternative to the invalid part."""

    def __init__(self, message: str, *path: str | int, hint: str | None = None, code: str = "EV203"):
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint
        self.code = code

    def below(self, *path: str | int) -> "ArgumentError":
        """Returns the same error for an argument that is at a path in another one."""
        return ArgumentError(self.message, *path, *self.path, hint=self.hint, code=self.code)


def is_string(value: object) -> bool:
    """Returns whether a parsed JSON value is a string."""
    return kind_of(value) == SCALAR and type(to_scalar(value)) is str


def is_number(value: object) -> bool:
    """Returns whether a parsed JSON value is a number."""
    return kind_of(value) == SCALAR and type(to_scalar(value)) in (float, NumberText)


def require_string(value: Any, message: str, *path: str | int) -> str:
    """Returns an operand that must be a string. Raises ArgumentError."""
    if is_string(value):
        return str(value)
    hint = None
    if kind_of(value) == ARRAY:
        hint = "it takes one value: write an operator for each value"
    raise ArgumentError(message, *path, hint=hint)


def require_number(value: Any, message: str, *path: str | int) -> float | NumberText:
    """Returns an operand that must be a number. Raises ArgumentError."""
    if is_number(value):
        # mypy does not know that is_number() excludes the other scalars.
        number: float | NumberText = to_scalar(value)  # type: ignore[assignment]
        return number
    hint = None
    if is_string(value):
        hint = "write the number without quotes"
    raise ArgumentError(message, *path, hint=hint)


def require_double(value: float | NumberText, *path: str | int) -> float:
    """Returns a number that must be comparable by value. Raises ArgumentError."""
    if isinstance(value, NumberText):
        hint = "a double cannot hold this number"
        raise ArgumentError(f"Cannot compare number : {value}", *path, hint=hint)
    return value


def require_first_key(argument: Any, missing: str) -> tuple[str, Any]:
    """Returns the first key of an operator object, and its value. Raises ArgumentError if it is empty."""
    for key, value in members_of(argument):
        return str(key), value
    raise ArgumentError(missing, code="EV201")


def require_single_key(argument: Any, message: str, *path: str | int) -> None:
    """Raises ArgumentError for an operator object with several keys."""
    keys = [str(key) for key, _ in members_of(argument)]
    if len(keys) > 1:
        raise ArgumentError(message, *path, keys[1], hint="write an object for each operator", code="EV201")


def restrict_to_strings(test: StringTest) -> Test:
    """Returns a test that holds only for strings for which `test` holds."""

    def holds(value: Scalar) -> bool:
        # NumberText is a subclass of str, but a number.
        return type(value) is str and test(value)

    return holds
