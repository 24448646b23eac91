"""Handlers of kind `external`: what only production calls, such as a queue. evtool never calls it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from evtool.handlers.base import Call, Handler, HandlerOptions, Kind, Outcome, Unavailable
from evtool.patterns.unknown import Unknown


class ExternalOptions(HandlerOptions):
    """What an external handler may say in routes.yaml. A replay never calls it either."""

    external: Annotated[
        str,
        BeforeValidator(lambda value: value.source if isinstance(value, Unknown) else value),
        Field(min_length=1, description="what is called in production, such as an ARN; evtool never calls it"),
    ]
    on_replay: Annotated[Literal["skip"], Field(description="a delivering replay does not call it")] = "skip"


class _External:
    """Answers for deliveries that were stored while the handler was of another kind."""

    def __init__(self, options: ExternalOptions):
        self._options = options

    def __call__(self, call: Call) -> Outcome:  # noqa: ARG002  (the contract of all kinds)
        return Unavailable(f"{self._options.external} is external, and is never called")

    def check(self) -> Unavailable | None:
        """Has nothing to load."""
        return None

    def close(self) -> None:
        """Does nothing: nothing is kept."""


def open_handler(_name: str, options: ExternalOptions, _folder: Path) -> Handler:
    """Creates the handler, which connects to nothing."""
    return _External(options)


KIND = Kind(ExternalOptions, open_handler)
