"""How a command declares its arguments and options; only parser.py knows the library that parses them."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from evtool.cli import completion

Completer = Callable[[str], list[str]]


class Argument(NamedTuple):
    """A positional argument: how the usage line names it, and what it is."""

    metavar: str
    help: str
    complete: Completer | None = None


class Option(NamedTuple):
    """An option: its spellings (blank-separated), what it does, and how its value is named."""

    flags: str
    help: str
    metavar: str | None = None
    complete: Completer | None = None
    least: int | None = None  # of a number


# Options that several commands take, so that they are spelled and explained alike.
Type = Annotated[
    str | None, Option("--type", "type of a payload without an envelope", "TYPE", completion.complete_types)
]
Source = Annotated[str | None, Option("--source", "source of a payload without an envelope", "SOURCE")]
TypeAt = Annotated[str | None, Option("--type-at", "JSON Pointer to the type in a payload, such as /type", "POINTER")]
IdAt = Annotated[
    str | None, Option("--id-at", "JSON Pointer to the id in a payload; the same id is the same event", "POINTER")
]
Intake = Annotated[
    str | None,
    Option(
        "--intake",
        "read payloads as this intake of routes.yaml describes: source, type-at, id-at",
        "NAME",
        completion.complete_intakes,
    ),
]
Set = Annotated[
    list[str], Option("--set", "set a field, such as detail.total=5; the event gets a new id", "PATH=VALUE")
]
SetNew = Annotated[list[str], Option("--set-new", "set a field that the event may not have", "PATH=VALUE")]
GroupBus = Annotated[
    str | None,
    Option(
        "--bus",
        "a bus with consumer groups: kafka://HOST:PORT/TOPIC, kafkas://HOST:PORT/TOPIC, eventhubs://HUB, or its name in"
        " routes.yaml",
        "URL|NAME",
    ),
]
AwsRegion = Annotated[str | None, Option("--region", "region of AWS; default: that of AWS's configuration", "REGION")]
AwsEndpoint = Annotated[str | None, Option("--endpoint", "URL of a local endpoint instead of AWS's", "URL")]
AwsProfile = Annotated[str | None, Option("--profile", "profile of AWS's configuration", "NAME")]
EventBus = Annotated[str | None, Option("--event-bus", "bus of events that do not name one", "NAME")]
OfType = Annotated[str | None, Option("--type", "only events of this type", "TYPE", completion.complete_types)]
OfSource = Annotated[str | None, Option("--source", "only events from this source", "SOURCE")]
OfRoute = Annotated[str | None, Option("--route", "only this route", "NAME", completion.complete_routes)]
OfHandler = Annotated[str | None, Option("--handler", "only this handler", "NAME", completion.complete_handlers)]
Since = Annotated[
    str | None, Option("--since", "at or after this time: 2026-11-23T10:00Z, 2026-11-23, or 2h (2 hours ago)", "TIME")
]
Until = Annotated[str | None, Option("--until", "before this time", "TIME")]
OlderThan = Annotated[str | None, Option("--older-than", "only dead letters older than this: 30d, 12h", "TIME")]
NoValidate = Annotated[bool, Option("--no-validate", "accept events without validating them against schemas")]
NoSchema = Annotated[
    Literal["error", "warn", "ignore"],
    Option("--no-schema", "how to report a type without a schema: error, warn or ignore", "LEVEL"),
]
Unwrap = Annotated[bool, Option("--unwrap", "extract events from SQS, SNS, CloudWatch Logs, Kafka and Kinesis records")]
AllowEmpty = Annotated[bool, Option("--allow-empty", "do not fail if there is no event")]
MaxBytes = Annotated[int, Option("--max-bytes", "maximum size of an event, in bytes", "N", least=1)]
OfPattern = Annotated[str | None, Option("--pattern", "only events that match this event pattern", "JSON|@FILE")]
Limit = Annotated[int | None, Option("--limit", "at most N events", "N", least=1)]
