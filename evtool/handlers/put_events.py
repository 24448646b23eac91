"""Handles PutEvents requests of a handler: the entries become emitted events of the running call.

Example: a call of the handler `charge` runs, and its code sends two entries with boto3.

    boto3     reads AWS_ENDPOINT_URL_EVENTBRIDGE from its environment, and sends PutEvents there
    evtool    checks both entries as AWS does, and keeps the valid ones in the Emission of the call
    evtool    responds with the ids that the events will have in the store
    handler   returns: evtool stores the delivery as done together with its events; if it fails, evtool drops them
"""

import os
from collections.abc import Mapping
from pathlib import Path

from evtool.aws import json_protocol
from evtool.aws.http_messages import Request, Response
from evtool.aws.json_protocol import AwsError
from evtool.aws.put_events import Entry, Rejection, put_events
from evtool.events.emitted_ids import Cause, derive_emitted_id
from evtool.handlers.base import Call, Done, Emitted, Failed, HandlerOptions, Outcome, ProcessOptions, Unavailable

# The region if the environment has none.
REGION = "us-east-1"

# Stands for a key of AWS. The SDKs send nothing without credentials.
DUMMY = "evtool"

PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")

# Variables with which an SDK finds credentials.
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)


class Emission:
    """The events that one call emitted with PutEvents. Their ids are those in the store."""

    def __init__(self, call: Call, handler: str, options: HandlerOptions):
        self._cause = Cause(call.event_source, call.event_id, call.route, handler, call.replay)
        self._options = options
        self._bytes = 0
        self.events: list[Emitted] = []
        self.excess = ""

    def accept(self, entry: Entry) -> str | Rejection:
        """Keeps the event of an entry, and returns its id. Raises AwsError if the call emitted too much."""
        self._bytes += len(entry.detail) + len(entry.type.encode()) + len(entry.source.encode())
        self._check_limits(len(self.events) + 1)
        if self.excess:
            raise AwsError("ValidationException", self.excess)
        self.events.append(Emitted(entry.type, entry.detail, entry.source, entry.resources, entry.time, entry.bus))
        return derive_emitted_id(self._cause, len(self.events) - 1)

    def _check_limits(self, count: int) -> None:
        if count > self._options.emit_limit:
            self.excess = f"emitted more than {self._options.emit_limit} events (emit_limit)"
        elif self._bytes > self._options.emit_bytes:
            self.excess = f"emitted more than {self._options.emit_bytes} bytes (emit_bytes)"

    def add_to(self, outcome: Outcome) -> Outcome:
        """Returns the outcome of the call with these events."""
        if isinstance(outcome, Unavailable):
            return outcome
        if isinstance(outcome, Done):
            self._check_limits(len(self.events) + len(outcome.emitted))
        # Also if the handler failed because PutEvents was refused.
        if self.excess:
            return Failed(self.excess, "bad-result", outcome.output, final=True)
        if isinstance(outcome, Done):
            # These come first, since the id of an event depends on its position, and the handler knows their ids.
            return outcome._replace(emitted=tuple(self.events) + outcome.emitted)
        return outcome


def is_aws_call(request: Request) -> bool:
    """Whether an SDK of AWS sent this request."""
    return "x-amz-target" in request.headers or "smithy-protocol" in request.headers


def answer(request: Request, emission: Emission | None) -> Response:
    """Returns the response to an SDK. `emission` is that of the running call, None between calls."""

    def put(parameters: Mapping[str, object]) -> Mapping[str, object]:
        if emission is None:
            message = "no call of this handler is running: send events before it returns, and not while it is loaded"
            raise AwsError("InvalidStateException", message)
        return put_events(parameters, emission.accept)

    return json_protocol.answer(request, {"PutEvents": put})


def extend_environment(options: ProcessOptions, address: str) -> dict[bytes, bytes]:
    """Returns the environment of evtool, with which SDKs send their events to an endpoint if `aws` is `local`."""
    environment = dict(os.environb)
    if options.aws == "local":
        for name, value in build_environment(address).items():
            environment[os.fsencode(name)] = os.fsencode(value)
    return environment


def build_environment(address: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the variables with which the SDKs of a handler send their events to an endpoint.

    Credentials and region of the user stay. If they are missing, the result has dummies, since an SDK sends nothing
    without them.
    """
    variables = {
        "AWS_ENDPOINT_URL_EVENTBRIDGE": f"http://{address}",
        "AWS_ENDPOINT_URL_EVENTBRIDGEV2": f"http://{address}",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    }
    home = Path(environ.get("HOME", "/"), ".aws")
    has_files = any(os.access(home / name, os.R_OK) for name in ("credentials", "config"))
    if not has_files and not any(name in environ for name in CREDENTIALS):
        variables |= {"AWS_ACCESS_KEY_ID": DUMMY, "AWS_SECRET_ACCESS_KEY": DUMMY}
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    # The files may contain a region.
    if not region and not has_files:
        region = REGION
    if region:
        variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    # Some SDKs send also requests to a loopback address to a proxy.
    if any(name in environ for name in PROXIES):
        host = address.partition(":")[0]
        for name in ("NO_PROXY", "no_proxy"):
            variables[name] = ",".join(filter(None, [environ.get(name), host]))
    return variables
