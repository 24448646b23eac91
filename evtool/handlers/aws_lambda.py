"""Handlers of kind `lambda`: an unmodified function for AWS Lambda, in any language, in a separate process."""

from pathlib import Path

from evtool.handlers.base import Handler, Kind
from evtool.handlers.lambda_runtime.options import LambdaOptions


def open_handler(name: str, options: LambdaOptions, folder: Path) -> Handler:
    """Creates the handler, which starts no process yet."""
    # Imported late, since most projects have no such handler.
    from evtool.handlers.lambda_runtime.function import LambdaFunction  # noqa: PLC0415

    return LambdaFunction(name, options, folder)


KIND = Kind(LambdaOptions, open_handler)
