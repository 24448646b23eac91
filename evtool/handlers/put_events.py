"""Takes what a handler sends to EventBridge with an SDK of AWS: its entries are emitted events of the running call."""

import os
from collections.abc import Mapping
from pathlib import Path

from evtool.aws import json_protocol
from evtool.aws.http_messages import Request, Response
from evtool.aws.json_protocol import AwsError
from evtool.aws.put_events import Entry, Rejection, put_events
from evtool.events.emitted_ids import Cause, derive_emitted_id
from evtool.handlers.base import Call, Done, Emitted, Failed, HandlerOptions, Outcome, ProcessOptions, Unavailable

REGION = "us-east-1"  # where no other is named
DUMMY = "evtool"  # in place of a key of AWS: the SDKs do nothing without one
PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")

# variables by which an SDK finds credentials
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
    """What one call has emitted with PutEvents. The ids are those under which the events are stored."""

    def __init__(self, call: Call, handler: str, options: HandlerOptions):
        self._cause = Cause(call.event_source, call.event_id, call.route, handler, call.replay)
        self._options = options
        self._bytes = 0
        self.events: list[Emitted] = []
        self.excess = ""

    def accept(self, entry: Entry) -> str | Rejection:
        """The id of the event that an entry becomes. Raises AwsError if the call has emitted too much."""
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
        """The outcome of the call with these events before those that it has: their ids depend on their place."""
        if isinstance(outcome, Unavailable):
            return outcome
        if isinstance(outcome, Done):
            self._check_limits(len(self.events) + len(outcome.emitted))
        if self.excess:  # also if the handler has failed for this
            return Failed(self.excess, "bad-result", outcome.output, final=True)
        if isinstance(outcome, Done):
            return outcome._replace(emitted=(*self.events, *outcome.emitted))
        return outcome


def is_aws_call(request: Request) -> bool:
    """Whether an SDK of AWS has made this request."""
    return "x-amz-target" in request.headers or "smithy-protocol" in request.headers


def answer(request: Request, emission: Emission | None) -> Response:
    """The response to an SDK; `emission` is that of the running call, None between calls."""

    def put(parameters: Mapping[str, object]) -> Mapping[str, object]:
        if emission is None:
            message = "no call of this handler is running: send events before it returns, and not while it is loaded"
            raise AwsError("InvalidStateException", message)
        return put_events(parameters, emission.accept)

    return json_protocol.answer(request, {"PutEvents": put})


def extend_environment(options: ProcessOptions, address: str) -> dict[bytes, bytes]:
    """The environment of evtool; unless the options are against it, SDKs send their events to an endpoint."""
    if options.aws == "local":
        variables = build_environment(address)
    else:
        variables = {}
    return {**os.environb, **{os.fsencode(name): os.fsencode(value) for name, value in variables.items()}}


def build_environment(address: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that have the SDKs of a handler send their events to an endpoint, besides those that it has.

    Credentials and region of the user are kept; if there are none, there are dummies, without which an SDK sends
    nothing.
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
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ("" if has_files else REGION)
    if region:
        variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    if any(name in environ for name in PROXIES):
        host = address.partition(":")[0]
        for name in ("NO_PROXY", "no_proxy"):
            variables[name] = ",".join(filter(None, [environ.get(name), host]))
    return variables
