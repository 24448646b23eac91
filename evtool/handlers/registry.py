"""The kinds of handlers, by the key that selects them in routes.yaml."""

from evtool.handlers import aws_lambda, command, external, http, python
from evtool.handlers.base import Kind

KINDS: dict[str, Kind] = {
    "python": python.KIND,
    "lambda": aws_lambda.KIND,
    "command": command.KIND,
    "http": http.KIND,
    "external": external.KIND,
}
