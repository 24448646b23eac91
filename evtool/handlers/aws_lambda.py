"""Handlers of kind `lambda`: an unmodified function for AWS Lambda, in any language, as a process of its own."""

from pathlib import Path

from evtool.handlers.base import Handler, Kind
from evtool.handlers.lambda_runtime.options import LambdaOptions


def open_handler(name: str, options: LambdaOptions, folder: Path) -> Handler:
    """The handler, with nothing started yet."""
    from evtool.handlers.lambda_runtime.function import LambdaFunction  # noqa: PLC0415 - most projects have none

    return LambdaFunction(name, options, folder)


KIND = Kind(LambdaOptions, open_handler)
