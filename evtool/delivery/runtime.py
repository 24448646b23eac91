"""What delivery works with: the store, routes, handlers and environment."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from evtool.delivery.pool import HandlerPool
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules
from evtool.store.store import Store


def _drop_message(_message: str) -> None:
    """The default of an environment: errors that belong to no attempt are not reported."""


class Environment(NamedTuple):
    """What delivery gets from outside: a clock (ms), randomness, the owner of its leases, rules for emitted events.

    `report_error` takes the message of an error that belongs to no attempt.
    """

    now: Callable[[], int]
    random: Random
    owner: str
    rules: Rules
    report_error: Callable[[str], None] = _drop_message


class Runtime(NamedTuple):
    """The store, routes, handlers and environment of a command that delivers."""

    store: Store
    routes: Routes
    handlers: HandlerPool
    environment: Environment
