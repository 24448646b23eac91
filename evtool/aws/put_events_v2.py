"""PutEvents of EventBridge V2 (custom event buses): like the operation of the classic service, with other limits."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from evtool.aws.json_protocol import AwsError
from evtool.aws.put_events import Entry, Rejection, put_events

MAX_ENTRIES = 100
_ARN = re.compile(r"arn:[^:]*:events:[^:]*:[0-9]{12}:event-busv2/([^/]+)/[a-z0-9]{25}")
_MEMBERS = ("Source", "DetailType", "Detail", "Resources", "Time")


def put_events_v2(parameters: Mapping[str, Any], accept: Callable[[Entry], str | Rejection]) -> dict[str, Any]:
    """Returns the response of PutEvents. `accept` takes the valid entries one by one, and returns the id of each event.

    Raises AwsError if AWS refuses the whole request. EventGroupId and deduplication are not used.
    """
    arn = parameters.get("EventBusArn")
    match = None
    if isinstance(arn, str):
        match = _ARN.fullmatch(arn)
    if match is None:
        raise AwsError(
            "InvalidInputException",
            "EventBusArn is not such as arn:aws:events:us-east-1:123456789012:event-busv2/NAME/25 letters and digits",
        )
    entries = parameters.get("Entries")
    if isinstance(entries, list):
        entries = [_convert_entry(entry, match[1]) for entry in entries]
    try:
        response = put_events({"Entries": entries}, accept, max_entries=MAX_ENTRIES)
    except AwsError as error:
        code = "InvalidInputException"
        if error.code != "ValidationException":
            code = error.code
        raise AwsError(code, str(error)) from None
    for result in response["Entries"]:
        if "EventId" in result:
            result["SuccessCode"] = "PUBLISHED"
    return response


def _convert_entry(entry: Any, bus: str) -> Any:
    """Returns the entry in the form of the classic service, which refuses entries that are not a map."""
    if not isinstance(entry, dict):
        return entry
    members = {name: entry[name] for name in _MEMBERS if entry.get(name) is not None}
    return {"Detail": "{}", **members, "EventBusName": bus}
