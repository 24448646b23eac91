"""The table of commands: each row has a module of this folder with a function of the same name.

A name of two words, such as `events prune`, has a `_` for the blank in module and function.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """A row of the help: under which heading, and what the command does."""

    heading: str
    summary: str


COMMANDS = {
    "init": Command("Before it happens", "write a small project that works"),
    "validate": Command("Before it happens", "check events against the schemas of their types"),
    "check": Command("Before it happens", "find mistakes in routes, handlers, schemas, samples and scenarios"),
    "test": Command("Before it happens", "run scenarios: given events and what must result from them"),
    "generate": Command("Before it happens", "make events of a type, or events that a route matches or just misses"),
    "explain": Command("Before it happens", "say why routes do or do not match an event"),
    "graph": Command("Before it happens", "show which event types reach which handlers, and where loops are"),
    "schema": Command("Before it happens", "compare versions of schemas, or make a schema from events"),
    "publish": Command("When it happens", "store events, fire their handlers, follow what these emit"),
    "deliver": Command("When it happens", "attempt the deliveries that are due"),
    "handlers": Command("When it happens", "list the handlers and whether each can be called"),
    "handlers run": Command("When it happens", "call one handler with an event, store nothing"),
    "events": Command("Afterwards", "list the stored events, or show one with its history"),
    "replay": Command("Afterwards", "put stored events through the routes again: who fires"),
    "dlq": Command("Afterwards", "list, show, redrive or purge dead letters"),
    "backup": Command("The store", "copy the store while it is in use"),
    "events prune": Command("The store", "delete old events that came to their end"),
    "doctor": Command("The store", "check the store: structure, every event's bytes, sums"),
}
