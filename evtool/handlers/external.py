"""Handlers of kind `external`: targets that only production has, such as a queue. evtool never calls them."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from evtool.handlers.base import Call, Handler, HandlerOptions, Kind, Outcome, Unavailable
from evtool.patterns.unknown import Unknown


def _read_target(value: Any) -> Any:
    # A template may leave the target open until it is deployed. Then the text of the template names it.
    if isinstance(value, Unknown):
        return value.source
    return value


class ExternalOptions(HandlerOptions):
    """The options of an external handler in routes.yaml. A replay never calls it either."""

    external: Annotated[
        str,
        BeforeValidator(_read_target),
        Field(min_length=1, description="the target in production, such as an ARN; evtool never calls it"),
    ]
    on_replay: Annotated[Literal["skip"], Field(description="a delivering replay does not call it")] = "skip"


class _External:
    """Makes deliveries wait that were stored while the handler was of another kind."""

    def __init__(self, options: ExternalOptions):
        self._options = options

    def __call__(self, call: Call) -> Outcome:  # noqa: ARG002
        return Unavailable(f"{self._options.external} is external, and is never called")

    def check(self) -> Unavailable | None:
        """Returns None, since there is nothing to load."""
        return None

    def close(self) -> None:
        """Does nothing, since there is nothing to close."""


def open_handler(_name: str, options: ExternalOptions, _folder: Path) -> Handler:
    """Creates the handler, which connects to nothing."""
    return _External(options)


KIND = Kind(ExternalOptions, open_handler)
