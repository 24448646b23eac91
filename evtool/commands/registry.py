"""The table of commands: each row has a module of this folder with a function of the same name.

A name of two words, such as `events prune`, has a `_` for the blank in module and function; `import` is `import_`.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """A row of the help: under which heading, and what the command does."""

    heading: str
    summary: str


COMMANDS = {
    "init": Command("Before you publish", "write a small working project"),
    "validate": Command("Before you publish", "check events against the schemas of their types"),
    "check": Command("Before you publish", "find mistakes in routes, handlers, schemas, samples and scenarios"),
    "test": Command("Before you publish", "run scenarios: given events and what must result from them"),
    "generate": Command("Before you publish", "generate events of a type, or that a route matches or just misses"),
    "explain": Command("Before you publish", "explain why routes match or do not match an event"),
    "graph": Command("Before you publish", "show which event types reach which handlers, and where loops are"),
    "schema": Command("Before you publish", "compare schema versions, or infer a schema from events"),
    "import": Command("Move rules", "read the rules of a template, or of AWS, into routes.yaml"),
    "export": Command("Move rules", "write the routes as a template, or as EventBridge's JSON"),
    "verify": Command("Move rules", "ask AWS whether routes match samples as they do here"),
    "publish": Command("Publish and deliver", "store events, call their handlers, follow the events they emit"),
    "deliver": Command("Publish and deliver", "attempt the deliveries that are due"),
    "serve": Command("Publish and deliver", "take events over HTTP from AWS SDKs, CloudEvents and curl"),
    "push": Command("Publish and deliver", "send stored events, or events of files, to a bus"),
    "handlers": Command("Publish and deliver", "list the handlers and whether each can be called"),
    "handlers run": Command("Publish and deliver", "call one handler with an event without storing anything"),
    "events": Command("Inspect and replay", "list the stored events, or show one with its history"),
    "pull": Command("Inspect and replay", "record the events of a bus in the store or in a file"),
    "replay": Command("Inspect and replay", "route stored events again and show which handlers fire"),
    "dlq": Command("Inspect and replay", "list, show, redrive or purge dead letters"),
    "backup": Command("The store", "copy the store while it is in use"),
    "events prune": Command("The store", "delete old events whose deliveries are finished"),
    "doctor": Command("The store", "check the store: structure, event hashes, totals"),
}
