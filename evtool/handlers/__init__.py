"""The kinds of handlers, by the key that names them in routes.yaml."""

from evtool.handler import Kind
from evtool.handlers import command, python

KINDS: dict[str, Kind] = {
    "python": python.KIND,
    "command": command.KIND,
}
