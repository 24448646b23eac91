"""EventBridge V2 is answered in RPC v2 CBOR."""

from typing import Any

import cbor2
import pytest

from evtool.aws.cbor_protocol import answer
from evtool.aws.http_messages import Request
from evtool.aws.put_events import Entry
from evtool.aws.put_events_v2 import put_events_v2

PATH = "/service/AWSEventsV2/operation/PutEvents"
ARN = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"
GOOD = {"Source": "shop", "DetailType": "order.created", "Detail": "{}"}
HEADERS = {"smithy-protocol": "rpc-v2-cbor"}


def send(
    body: Any, path: str = PATH, headers: dict[str, str] | None = None, method: str = "POST"
) -> tuple[int, Any, list[Entry]]:
    """The status and the value of the response, and the entries that were accepted."""
    accepted: list[Entry] = []

    def accept(entry: Entry) -> str:
        accepted.append(entry)
        return "the id"

    data = body if isinstance(body, bytes) else cbor2.dumps(body)
    request = Request(method, path, HEADERS if headers is None else headers, data)
    response = answer(request, {"PutEvents": lambda parameters: put_events_v2(parameters, accept)})
    assert dict(response.headers)["smithy-protocol"] == "rpc-v2-cbor"
    return response.status, cbor2.loads(response.body), accepted


def test_entries_are_accepted() -> None:
    """A detail is optional, a time is a tagged number, the bus is that of the ARN."""
    entry = {
        "Source": "shop",
        "DetailType": "t",
        "Time": cbor2.CBORTag(1, 1795953600.5),
        "Resources": ["a"],
        "SystemMetadata": {"EventGroupId": "g"},
    }
    status, value, accepted = send({"EventBusArn": ARN, "Entries": [entry, {**GOOD, "Detail": "["}]})

    assert status == 200
    assert value["FailedEntryCount"] == 1
    assert value["Entries"][0] == {"EventId": "the id", "SuccessCode": "PUBLISHED"}
    assert value["Entries"][1]["ErrorCode"] == "MalformedDetail"
    assert accepted == [Entry("shop", "t", b"{}", ("a",), 1795953600.5, "orders")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"Entries": [GOOD]}, "InvalidInputException"),
        ({"EventBusArn": "orders", "Entries": [GOOD]}, "InvalidInputException"),
        ({"EventBusArn": ARN, "Entries": []}, "InvalidInputException"),
        ({"EventBusArn": ARN, "Entries": [GOOD] * 101}, "InvalidInputException"),
        ({"EventBusArn": ARN}, "InvalidInputException"),
        ({"EventBusArn": ARN, "Entries": ["x"]}, "SerializationException"),
        ({"EventBusArn": ARN, "Entries": [{**GOOD, "Detail": {}}]}, "SerializationException"),
        ({"EventBusArn": ARN, "Entries": [{**GOOD, "Time": cbor2.CBORTag(1, "x")}]}, "SerializationException"),
        ({"EventBusArn": ARN, "Entries": [{**GOOD, "Time": float("nan")}]}, "SerializationException"),
        ([], "SerializationException"),
        (b"", "SerializationException"),
        (b"\x81" * 100_000, "SerializationException"),
        (b"\xa1\x61a\xd8\x23\x61(", "SerializationException"),
        (b"\xa1\x61a\xd8\x1c\x81\xd8\x1d\x00", "SerializationException"),
        (b"\xa1\x61a\xd9\xff\xfe\x00", "SerializationException"),
        (b"\xa2\x61a\x00\x61a\x00", "SerializationException"),
        (b"\xa1\x61a\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "SerializationException"),
        (b"\xa1\x61\xff\x00", "SerializationException"),
    ],
)
def test_bad_request_is_refused(body: Any, code: str) -> None:
    """The error is in CBOR."""
    status, value, accepted = send(body)

    assert (status, value["__type"], accepted) == (400, code, [])
    assert value["message"]


@pytest.mark.parametrize(
    ("path", "headers", "method"),
    [
        ("/service/AWSEventsV2/operation/CreateEventBus", None, "POST"),
        ("/service/DynamoDB/operation/PutEvents", None, "POST"),
        ("/", None, "POST"),
        (PATH, {"smithy-protocol": "rpc-v2-json"}, "POST"),
        (PATH, None, "GET"),
    ],
)
def test_other_operations_are_refused(path: str, headers: dict[str, str] | None, method: str) -> None:
    """The error names the supported operation."""
    status, value, _ = send({"EventBusArn": ARN, "Entries": [GOOD]}, path, headers, method)

    assert (status, value["__type"]) == (400, "UnknownOperationException")
    assert "only AWSEventsV2.PutEvents" in value["message"]
