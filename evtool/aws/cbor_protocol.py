"""Smithy RPC v2 CBOR, the protocol of EventBridge V2 (custom event buses): finds the operation, encodes responses."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import cbor2

from evtool.aws.http_messages import Request, Response
from evtool.aws.json_protocol import AwsError

SERVICE = "AWSEventsV2"
PROTOCOL = "rpc-v2-cbor"
# The depth of arrays and maps. A request of EventBridge V2 has four.
MAX_DEPTH = 20
_PATH = re.compile(r".*/service/([^/]+)/operation/([^/]+)")
_TIME_TAG = 1
# The tags that cbor2 decodes by itself. AWS's protocol has none of them.
_OTHER_TAGS = (0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799)

Operation = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def answer(request: Request, operations: Mapping[str, Operation]) -> Response:
    """Returns the response to a request; `operations` are the supported ones by their name in AWS's API."""
    try:
        operation = operations[_find_operation(request, operations)]
        return _build_response(200, operation(_parse_body(request.body)))
    except AwsError as error:
        return _build_response(error.status, {"__type": error.code, "message": str(error)})


def _find_operation(request: Request, operations: Mapping[str, Operation]) -> str:
    """Returns the name of the operation. Raises AwsError if it is not supported."""
    match = _PATH.fullmatch(request.path)
    is_supported = match and match[1] == SERVICE and match[2] in operations
    if match and is_supported and request.method == "POST" and request.headers.get("smithy-protocol") == PROTOCOL:
        return match[2]
    if match:
        called = f"{match[1]}.{match[2]}"
    else:
        called = request.path
    supported = ", ".join(f"{SERVICE}.{name}" for name in operations)
    message = f"evtool does not support {called[:200]} in {PROTOCOL} here, only {supported}"
    raise AwsError("UnknownOperationException", message)


def _parse_body(body: bytes) -> Mapping[str, Any]:
    """Returns the parameters of the operation, times in seconds since 1970.

    Raises AwsError if the body is not a CBOR map.
    """
    try:
        value = cbor2.loads(
            body,
            semantic_decoders={_TIME_TAG: _take_time, **dict.fromkeys(_OTHER_TAGS, _refuse_tag)},
            tag_hook=_refuse_tag,
            max_depth=MAX_DEPTH,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except (cbor2.CBORDecodeError, ValueError):
        raise AwsError("SerializationException", "the body of the request is not well-formed CBOR") from None
    if not isinstance(value, dict):
        raise AwsError("SerializationException", "the body of the request is not a CBOR map")
    return value


def _take_time(value: object, _is_immutable: object) -> object:
    return value


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("AWS's protocol has no such tag")


def _build_response(status: int, value: Mapping[str, Any]) -> Response:
    headers = (
        ("Content-Type", "application/cbor"),
        ("smithy-protocol", PROTOCOL),
        ("x-amzn-RequestId", str(uuid.uuid4())),
    )
    return Response(status, cbor2.dumps(value), headers)
