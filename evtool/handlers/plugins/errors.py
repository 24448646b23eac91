"""Describes what the code of a plugin raised."""

import traceback

from evtool.handlers.processes.programs import UnsetVariableError
from evtool.handlers.processes.worker_protocol import OUTPUT_LIMIT

MESSAGE_LIMIT = 500  # characters of an error


class PluginError(Exception):
    """A plugin cannot be used, or not with its options."""


def clean_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """A text that can be stored: without lone surrogates, and not too long."""
    return text[:limit].encode(errors="replace").decode()


def describe_error(error: BaseException) -> str:
    """An exception in one line: its class and its message; of evtool's own exceptions the message."""
    if isinstance(error, PluginError | UnsetVariableError):
        return str(error)
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (its own __str__ may be wrong, too)
        message = ""
    return clean_text(f"{type(error).__name__}: {message}".removesuffix(": "))


def format_stack(error: BaseException) -> str:
    """The end of the stack of an exception."""
    try:
        return clean_text("".join(traceback.format_exception(error))[-OUTPUT_LIMIT:], OUTPUT_LIMIT)
    except Exception:  # noqa: BLE001
        return ""
