"""Describes the exceptions that the code of a plugin raised."""

import traceback

from evtool.handlers.processes.programs import UnsetVariableError
from evtool.handlers.processes.worker_protocol import OUTPUT_LIMIT

# Characters of an error.
MESSAGE_LIMIT = 500


class PluginError(Exception):
    """A plugin cannot be used, or not with its options."""


def clean_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Returns a text that can be stored: without lone surrogates, and at most `limit` characters long."""
    return text[:limit].encode(errors="replace").decode()


def describe_error(error: BaseException) -> str:
    """Describes an exception in one line: its class and its message; only the message for exceptions of evtool."""
    if isinstance(error, PluginError | UnsetVariableError):
        return str(error)
    try:
        message = " ".join(str(error).split())
    # The plugin may have written `__str__`, which may raise, too.
    except Exception:  # noqa: BLE001
        message = ""
    return clean_text(f"{type(error).__name__}: {message}".removesuffix(": "))


def format_stack(error: BaseException) -> str:
    """Returns the end of the stack of an exception."""
    try:
        return clean_text("".join(traceback.format_exception(error))[-OUTPUT_LIMIT:], OUTPUT_LIMIT)
    except Exception:  # noqa: BLE001
        return ""
