"""The kinds of handlers, by the key that selects them in routes.yaml."""

from evtool.handlers import command, external, python
from evtool.handlers.base import Kind

KINDS: dict[str, Kind] = {
    "python": python.KIND,
    "command": command.KIND,
    "external": external.KIND,
}
