"""Everything that delivering an event needs: the store, routes, handlers and environment."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from evtool.delivery.pool import HandlerPool
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules
from evtool.store.store import Store


class Environment(NamedTuple):
    """What delivery gets from outside.

    Time (ms), randomness, the owner of its leases, rules for emitted events, and where errors go that belong to no
    attempt.
    """

    now: Callable[[], int]
    random: Random
    owner: str
    rules: Rules
    report_error: Callable[[str], None] = lambda _message: None


class Runtime(NamedTuple):
    """The store, routes, handlers and environment of a command that delivers."""

    store: Store
    routes: Routes
    handlers: HandlerPool
    environment: Environment
