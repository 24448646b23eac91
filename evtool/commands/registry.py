"""The table of commands: each row has a module of this folder with a function of the same name.

A name of two words, such as `events prune`, has a `_` in module and function; `import` is `import_`.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """A row of `evtool --help`: the heading above it, and what the command does."""

    heading: str
    summary: str


# The help lists headings and commands in this order.
COMMANDS = {
    "init": Command("Before you publish", "create a small working project"),
    "validate": Command("Before you publish", "check events against the schemas of their types"),
    "check": Command("Before you publish", "find mistakes in routes, handlers, schemas, samples and scenarios"),
    "test": Command("Before you publish", "run scenarios: given events, and what must result from them"),
    "generate": Command("Before you publish", "generate events of a type, or events that a route matches"),
    "explain": Command("Before you publish", "explain why routes match or do not match an event"),
    "graph": Command("Before you publish", "show which event types reach which handlers, and loops"),
    "schema": Command("Before you publish", "compare schema versions, or infer a schema from events"),
    "import": Command("Move rules", "import the rules of a template, or of AWS, into routes.yaml"),
    "export": Command("Move rules", "export the routes as a template, or as EventBridge JSON"),
    "verify": Command("Move rules", "compare how AWS and evtool match the samples"),
    "publish": Command("Publish and deliver", "store events, call their handlers, follow the events they emit"),
    "deliver": Command("Publish and deliver", "attempt the deliveries that are due"),
    "serve": Command("Publish and deliver", "receive events over HTTP: AWS SDKs, CloudEvents, curl"),
    "push": Command("Publish and deliver", "send stored events, or events from files, to a bus"),
    "handlers": Command("Publish and deliver", "list the handlers, and whether each can be called"),
    "handlers run": Command("Publish and deliver", "call one handler with an event, without storing anything"),
    "events": Command("Inspect and replay", "list the stored events, or show one with its history"),
    "pull": Command("Inspect and replay", "copy the events of a bus into the store or a file"),
    "replay": Command("Inspect and replay", "route stored events again, and show which handlers fire"),
    "dlq": Command("Inspect and replay", "list, show, redrive or purge dead letters"),
    "backup": Command("The store", "copy the store while it is in use"),
    "events prune": Command("The store", "delete old events whose deliveries are finished"),
    "doctor": Command("The store", "check the store: structure, event hashes, totals"),
}
