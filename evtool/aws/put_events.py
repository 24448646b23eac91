"""AWS's operation PutEvents: checks a request and its entries as EventBridge does."""

from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.aws.json_protocol import AwsError
from evtool.events.buses import parse_bus_name
from evtool.events.timestamps import YEAR_10000, is_timestamp
from evtool.readers.json_text import JsonProblem, parse_json

MAX_ENTRIES = 10
# The limit in bytes for all entries of a request, as AWS counts them.
MAX_REQUEST_BYTES = 1 << 20
# AWS counts this many bytes for a Time, whatever its form.
TIME_BYTES = 14
MAX_LENGTHS = {"Source": 256, "DetailType": 128}  # characters
MAX_RESOURCE_LENGTH = 2048  # characters

_STRINGS = ("Source", "DetailType", "Detail", "EventBusName", "TraceHeader")


class Entry(NamedTuple):
    """An entry that is accepted. The detail is JSON text, the bus None for the default one."""

    source: str
    type: str
    detail: bytes
    resources: tuple[str, ...] = ()
    time: str | float | None = None  # or seconds since 1970
    bus: str | None = None


class Rejection(NamedTuple):
    """Why an entry is not accepted: the code and the message in its place in the response."""

    code: str
    message: str


def put_events(
    parameters: Mapping[str, Any], accept: Callable[[Entry], str | Rejection], *, max_entries: int = MAX_ENTRIES
) -> dict[str, Any]:
    """Returns the response of PutEvents. `accept` takes the valid entries one by one, and returns the id of each event.

    Raises AwsError if AWS refuses the whole request.
    """
    entries = _read_entries(parameters, max_entries)
    results = [_put_entry(entry, accept) for entry in entries]
    failed = sum("ErrorCode" in result for result in results)
    return {"FailedEntryCount": failed, "Entries": results}


def _put_entry(entry: Mapping[str, Any], accept: Callable[[Entry], str | Rejection]) -> dict[str, str]:
    result: Entry | str | Rejection = _check_entry(entry)
    if isinstance(result, Entry):
        result = accept(result)
    if isinstance(result, Rejection):
        return {"ErrorCode": result.code, "ErrorMessage": result.message}
    return {"EventId": str(result)}


def _read_entries(parameters: Mapping[str, Any], max_entries: int) -> Sequence[Mapping[str, Any]]:
    """Returns the entries, with members of the right types. Raises AwsError for what AWS refuses as a whole."""
    entries = parameters.get("Entries")
    if entries is None:
        raise _constraint_error("null", "Member must not be null")
    if not isinstance(entries, list):
        raise AwsError("SerializationException", "Entries is not a list")
    for number, entry in enumerate(entries):
        _check_types(number, entry)
    if not entries:
        raise _constraint_error("'[]'", "Member must have length greater than or equal to 1")
    if len(entries) > max_entries:
        raise _constraint_error(
            "'[PutEventsRequestEntry(...)]'", f"Member must have length less than or equal to {max_entries}"
        )
    if sum(map(measure_entry, entries)) > MAX_REQUEST_BYTES:
        raise AwsError("ValidationException", "Total size of the entries in the request is over the limit.")
    return entries


def _constraint_error(value: str, constraint: str) -> AwsError:
    message = f"1 validation error detected: Value {value} at 'entries' failed to satisfy constraint: {constraint}"
    return AwsError("ValidationException", message)


def _check_types(number: int, entry: Any) -> None:
    """Raises AwsError if a member of an entry has a type that the SDKs do not send."""
    if not isinstance(entry, dict):
        raise AwsError("SerializationException", f"Entries[{number}] is not an object")
    for key in _STRINGS:
        if not isinstance(entry.get(key), str | None):
            raise AwsError("SerializationException", f"Entries[{number}].{key} is not a string")
    resources = entry.get("Resources")
    if resources is not None and not _is_list_of_strings(resources):
        raise AwsError("SerializationException", f"Entries[{number}].Resources is not a list of strings")
    time = entry.get("Time")
    is_number = isinstance(time, int | float) and not isinstance(time, bool) and 0 <= time < YEAR_10000
    if not (time is None or is_number or is_timestamp(time)):
        raise AwsError("SerializationException", f"Entries[{number}].Time is neither a number nor a timestamp")


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def measure_entry(entry: Mapping[str, Any]) -> int:
    """Returns the size of an entry in bytes, as AWS counts it."""
    size = 0
    if entry.get("Time") is not None:
        size = TIME_BYTES
    for key in ("Source", "DetailType", "Detail"):
        size += len((entry.get(key) or "").encode())
    for resource in entry.get("Resources") or ():
        size += len(resource.encode())
    return size


def _check_entry(entry: Mapping[str, Any]) -> Entry | Rejection:
    """Returns the entry, or why EventBridge does not accept it."""
    for key in ("Source", "DetailType", "Detail"):
        if not entry.get(key):
            return _reject_argument(key, f"{key} is a required argument.")
    for key, length in MAX_LENGTHS.items():
        if len(entry[key]) > length:
            return _reject_argument(key, f"{key} has more than {length} characters.")
        if "\0" in entry[key]:
            return _reject_argument(key, f"{key} contains a NUL character.")
    resources = tuple(entry.get("Resources") or ())
    if any(len(name) > MAX_RESOURCE_LENGTH for name in resources):
        return _reject_argument("Resources", f"A resource has more than {MAX_RESOURCE_LENGTH} characters.")
    if entry["Source"].startswith("aws."):
        return Rejection("NotAuthorizedForSourceException", "Not authorized for the source.")
    detail = entry["Detail"].encode()
    if not _is_object(detail):
        return Rejection("MalformedDetail", "Detail is malformed.")
    return Entry(
        entry["Source"],
        entry["DetailType"],
        detail,
        resources,
        entry.get("Time"),
        parse_bus_name(entry.get("EventBusName")),
    )


def _is_object(detail: bytes) -> bool:
    if detail.startswith(BOM_UTF8):
        return False
    try:
        return isinstance(parse_json(detail), dict)
    except JsonProblem:
        return False


def _reject_argument(name: str, reason: str) -> Rejection:
    return Rejection("InvalidArgument", f"Parameter {name} is not valid. Reason: {reason}")
