"""Parses the URL of a bus. What is printed of it never contains a secret."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean

# The prefix of parameters that are settings of the client library.
CLIENT_PREFIX = "client."


class BusUrl(NamedTuple):
    """The parts of the URL of a bus: SCHEME://HOST/PATH?NAME=VALUE."""

    scheme: str
    host: str
    path: str
    parameters: Mapping[str, str]
    # Settings of the client library, by name.
    client: Mapping[str, str]

    def check_parameters(self, known: Mapping[str, str]) -> None:
        """Raises UsageError for a parameter that is none of those known: names and what they are for."""
        for name in self.parameters:
            if name not in known:
                hint = did_you_mean(name, known) or f"known: {', '.join(known)}, {CLIENT_PREFIX}NAME"
                raise UsageError(f"{self}: there is no parameter {name}; {hint}")

    def __str__(self) -> str:
        """The URL as it is printed: values of client settings may be secrets, so only their names are there."""
        parameters = [f"{name}={quote(value, safe='$./,:[]')}" for name, value in self.parameters.items()]
        parameters += [f"{CLIENT_PREFIX}{name}=..." for name in self.client]
        separator = "://"
        if self.scheme == "file":
            separator = ":"
        if self.scheme == "file" or not self.path:
            path = self.path
        else:
            path = f"/{self.path}"
        return f"{self.scheme}{separator}{self.host}{path}" + (f"?{'&'.join(parameters)}" if parameters else "")


def _advise_on_secrets(scheme: str) -> str:
    if scheme == "eventbridge":
        return "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the environment"
    if scheme == "eventhubs":
        return "set EVENTHUBS_CONNECTION_STRING in the environment"
    return (
        "write ?user=NAME and set the password as KAFKA_PASSWORD in the environment, or as `password` of the bus "
        "in routes.yaml"
    )


def parse_bus_url(text: str) -> BusUrl:
    """Returns the parts of a URL. Raises UsageError, which does not repeat a URL that may contain a password."""
    scheme, separator, rest = text.partition(":")
    if not separator:
        raise UsageError(f"{text} is not the URL of a bus")
    scheme = scheme.lower()
    # A path may contain any character.
    if scheme == "file":
        return BusUrl(scheme, "", unquote(rest.removeprefix("//")), {}, {})
    rest, _, query = rest.removeprefix("//").partition("?")
    host, _, path = rest.partition("/")
    if "@" in host:
        raise UsageError(f"the URL of a bus ({scheme}:) contains no user and no password: {_advise_on_secrets(scheme)}")
    parameters: dict[str, str] = {}
    client: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.startswith(CLIENT_PREFIX):
            group = client
        else:
            group = parameters
        key = name.removeprefix(CLIENT_PREFIX)
        if key in group:
            raise UsageError(f"the parameter {name} is in the URL of the bus twice")
        group[key] = value
    return BusUrl(scheme, host, unquote(path), parameters, client)
