"""PutEvents is answered as AWS answers it, for every SDK."""

import json
from typing import Any

import botocore.session
import pytest

from evtool.aws import json_protocol
from evtool.aws.http_messages import MAX_BODY_BYTES, Request
from evtool.aws.put_events import MAX_ENTRIES, MAX_REQUEST_BYTES, Entry, Rejection, put_events

GOOD = {"Source": "shop", "DetailType": "order.created", "Detail": "{}"}


def send(body: bytes, *, target: str = "AWSEvents.PutEvents", **headers: str) -> tuple[int, Any]:
    """The status and the body of the response to a request, and the response is in AWS's form."""
    request = Request("POST", "/", {"x-amz-target": target, **headers}, body, len(body) > MAX_BODY_BYTES)
    response = json_protocol.answer(
        request, {"PutEvents": lambda parameters: put_events(parameters, lambda entry: f"id of {entry.type}")}
    )
    assert dict(response.headers)["Content-Type"] == "application/x-amz-json-1.1"
    assert len(dict(response.headers)["x-amzn-RequestId"]) == 36
    return response.status, json.loads(response.body)


def put(*entries: Any) -> tuple[int, Any]:
    return send(json.dumps({"Entries": entries}).encode())


def test_valid_entries_get_ids() -> None:
    """Each entry has its result in its place."""
    assert put(GOOD, {**GOOD, "DetailType": "x"}) == (
        200,
        {"FailedEntryCount": 0, "Entries": [{"EventId": "id of order.created"}, {"EventId": "id of x"}]},
    )


def test_entries_are_taken_with_all_members() -> None:
    """An entry has its bus by name, its time as it was sent, and its resources."""
    taken: list[Entry] = []

    def accept(entry: Entry) -> str:
        taken.append(entry)
        return "1"

    more = {"Resources": ["a"], "Time": 1795953600.123, "EventBusName": "arn:aws:events:eu-west-1:1:event-bus/orders"}
    put_events({"Entries": [{**GOOD, **more, "TraceHeader": "x"}]}, accept)
    assert taken == [Entry("shop", "order.created", b"{}", ("a",), 1795953600.123, "orders")]


def test_a_rejection_has_its_place() -> None:
    """An entry that is refused after the checks does not fail the others."""
    response = put_events({"Entries": [GOOD, GOOD]}, lambda _entry: Rejection("InternalFailure", "later"))
    assert response["FailedEntryCount"] == 2
    assert response["Entries"][0] == {"ErrorCode": "InternalFailure", "ErrorMessage": "later"}


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Source": None}, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."),
        ({"Source": ""}, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."),
        ({"DetailType": None, "Detail": None}, "InvalidArgument", "Parameter DetailType is not valid."),
        ({"Detail": ""}, "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."),
        ({"Detail": "{"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": "[]"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": "null"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": '{"a": NaN}'}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": "\ufeff{}"}, "MalformedDetail", "Detail is malformed."),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException", "Not authorized for the source."),
        ({"DetailType": "x" * 129}, "InvalidArgument", "Parameter DetailType is not valid."),
        ({"Source": "x" * 257}, "InvalidArgument", "Parameter Source is not valid."),
        ({"Resources": ["x" * 2049]}, "InvalidArgument", "Parameter Resources is not valid."),
    ],
)
def test_an_entry_is_refused_by_itself(change: dict[str, Any], code: str, message: str) -> None:
    """A wrong entry has AWS's code and message; the request succeeds, and so do the other entries."""
    status, response = put({**GOOD, **change}, GOOD)
    assert (status, response["FailedEntryCount"]) == (200, 1)
    assert response["Entries"][0]["ErrorCode"] == code
    assert response["Entries"][0]["ErrorMessage"].startswith(message)
    assert response["Entries"][1] == {"EventId": "id of order.created"}


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "SerializationException", "not well-formed"),
        (b"[]", "SerializationException", "not a JSON object"),
        (b'{"Entries": [{"Time": NaN}]}', "SerializationException", "not well-formed"),
        (b'{"Entries": [{"Source": "\\ud800"}]}', "SerializationException", "not well-formed"),
        (b'{"Entries": "x"}', "SerializationException", "Entries is not a list"),
        (b'{"Entries": [1]}', "SerializationException", "Entries[0] is not an object"),
        (b'{"Entries": [{"Detail": {}}]}', "SerializationException", "Entries[0].Detail is not a string"),
        (b'{"Entries": [{"Time": "soon"}]}', "SerializationException", "Entries[0].Time is neither"),
        (b'{"Entries": [{"Time": -6795364578.871}]}', "SerializationException", "Entries[0].Time is neither"),
        (b'{"Entries": [{"Time": true}]}', "SerializationException", "Entries[0].Time is neither"),
        (b'{"Entries": [{"Resources": [1]}]}', "SerializationException", "Entries[0].Resources is not a list"),
        (b"{}", "ValidationException", "Member must not be null"),
        (b'{"Entries": []}', "ValidationException", "Member must have length greater than or equal to 1"),
        (
            json.dumps({"Entries": [GOOD] * 11}).encode(),
            "ValidationException",
            "Member must have length less than or equal to 10",
        ),
        (
            json.dumps({"Entries": [{**GOOD, "Detail": '{"a": "%s"}' % ("x" * 120_000)}] * 10}).encode(),
            "ValidationException",
            "Total size of the entries in the request is over the limit.",
        ),
    ],
)
def test_a_request_is_refused(body: bytes, code: str, message: str) -> None:
    """Requests that AWS refuses as a whole get an error in the form that each SDK reads."""
    status, response = send(body)
    assert (status, response["__type"]) == (400, code)
    assert message in response["message"]


def test_size_is_counted_as_aws_does() -> None:
    """Source, type, detail and resources in UTF-8, and 14 bytes for a time."""
    rest = len("shop") + len("order.created") + len("é".encode()) + 14
    detail = '{"a":"%s"}' % ("x" * (MAX_REQUEST_BYTES - rest - len('{"a":""}')))
    entry = {**GOOD, "Resources": ["é"], "Time": "2026-11-29T12:00:00Z"}
    assert put({**entry, "Detail": detail})[0] == 200
    assert put({**entry, "Detail": detail + " "})[0] == 400


@pytest.mark.parametrize("target", ["AWSEvents.ListRules", "DynamoDB_20120810.PutItem", ""])
def test_other_operations_are_named(target: str) -> None:
    """An unsupported operation gets AWS's error, with the supported operations."""
    status, response = send(b"{}", target=target)
    assert (status, response["__type"]) == (400, "UnknownOperationException")
    assert response["message"].endswith("only AWSEvents.PutEvents")


def test_a_request_that_is_too_long_is_refused() -> None:
    """The body is not whole, so it is not read."""
    assert send(b" " * (MAX_BODY_BYTES + 1))[0] == 413


def test_cbor_gets_cbor() -> None:
    """The client of EventBridge V2 reads the error, too."""
    request = Request("POST", "/service/AWSEventsV2/operation/PutEvents", {"smithy-protocol": "rpc-v2-cbor"}, b"\xa0")
    response = json_protocol.answer(request, {"PutEvents": lambda _parameters: {}})
    assert response.status == 400
    assert dict(response.headers)["smithy-protocol"] == "rpc-v2-cbor"
    assert response.body[:1] == b"\xa2"
    assert b"UnknownOperationException" in response.body


def load_shape(operation: str, kind: str) -> Any:
    """The shape of an operation's input or output in AWS's model of EventBridge."""
    model = botocore.session.get_session().get_service_model("events").operation_model(operation)
    return getattr(model, f"{kind}_shape")


def test_limits_are_those_of_the_model() -> None:
    """The limits, and the members that are read, are those of AWS's own model."""
    entries = load_shape("PutEvents", "input").members["Entries"]
    assert entries.metadata == {"min": 1, "max": MAX_ENTRIES}
    assert {"Source", "DetailType", "Detail", "Resources", "Time", "EventBusName"} <= {*entries.member.members}


def test_responses_have_the_members_of_the_model() -> None:
    """A response has the members of AWS's own model, and no other."""
    shape = load_shape("PutEvents", "output")
    status, response = put(GOOD, {**GOOD, "Detail": "["})

    assert (status, {*response}) == (200, {*shape.members})
    assert {name for result in response["Entries"] for name in result} == {*shape.members["Entries"].member.members}
