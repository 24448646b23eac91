"""AWS JSON 1.1, the protocol of AWS's SDKs for EventBridge: finds the operation of a request, writes errors as AWS."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from evtool.aws.http_messages import Request, Response

# Half of a surrogate pair can be in an escape, or in bytes that are not UTF-8.
_SURROGATE = re.compile(rb"\\u[dD]|[^\x00-\x7f]")
TARGET_PREFIX = "AWSEvents."
CONTENT_TYPE = "application/x-amz-json-1.1"

Operation = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class AwsError(Exception):
    """An error response: the name of the exception in AWS's API, and the message."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(message)
        self.code, self.status = code, status


def answer(request: Request, operations: Mapping[str, Operation]) -> Response:
    """Returns the response to a request; `operations` are the supported ones by their name in AWS's API."""
    try:
        operation = operations[_find_operation(request, operations)]
        return _build_response(200, operation(_parse_body(request)))
    except AwsError as error:
        if _is_cbor(request):
            return _build_cbor_error(error)
        return _build_response(error.status, {"__type": error.code, "message": str(error)})


def _find_operation(request: Request, operations: Mapping[str, Operation]) -> str:
    """Returns the name of the operation. Raises AwsError if it is not supported."""
    target = request.headers.get("x-amz-target", "")
    name = target.removeprefix(TARGET_PREFIX)
    if request.method == "POST" and target.startswith(TARGET_PREFIX) and name in operations:
        return name
    called = target or request.path
    supported = ", ".join(TARGET_PREFIX + name for name in operations)
    raise AwsError("UnknownOperationException", f"evtool does not support {called[:200]} here, only {supported}")


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# json.loads and json.dumps with options would make a decoder and an encoder for each request
_decode = json.JSONDecoder(parse_constant=_reject_constant).decode
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _parse_body(request: Request) -> Mapping[str, Any]:
    """Returns the parameters of the operation. Raises AwsError if the body is not a JSON object."""
    if request.is_too_large:
        raise AwsError("RequestEntityTooLargeException", "the request is too large", 413)
    try:
        value = _decode(request.body.decode())
        if _SURROGATE.search(request.body):
            # This raises for half of a surrogate pair, which could not be stored.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise AwsError("SerializationException", "the body of the request is not well-formed JSON") from None
    if not isinstance(value, dict):
        raise AwsError("SerializationException", "the body of the request is not a JSON object")
    return value


def _build_response(status: int, value: Mapping[str, Any]) -> Response:
    headers = (("Content-Type", CONTENT_TYPE), ("x-amzn-RequestId", str(uuid.uuid4())))
    return Response(status, _encode(value).encode(), headers)


# --- EventBridge V2 speaks RPC v2 CBOR ------------------------------------------------------------------------------


def _is_cbor(request: Request) -> bool:
    return request.headers.get("smithy-protocol") == "rpc-v2-cbor"


def _encode_cbor_text(text: str) -> bytes:
    data = text.encode()
    # A string is major type 3. This one has a length of two bytes.
    return b"\x79" + len(data).to_bytes(2) + data


def _build_cbor_error(error: AwsError) -> Response:
    # The first byte begins a map of two.
    body = b"\xa2"
    for text in ("__type", error.code, "message", str(error)):
        body += _encode_cbor_text(text)
    headers = (("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"))
    return Response(error.status, body, headers)
