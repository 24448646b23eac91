"""How a command declares its arguments and options; only parser.py knows the library that parses them."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from evtool.cli import completion

Completer = Callable[[str], list[str]]


class Argument(NamedTuple):
    """A positional argument: its name in the usage line, and its help text."""

    metavar: str
    help: str
    complete: Completer | None = None


class Option(NamedTuple):
    """An option: its spellings, separated by spaces, its help text, and the name of its value.

    `least` is the minimum of a number.
    """

    flags: str
    help: str
    metavar: str | None = None
    complete: Completer | None = None
    least: int | None = None


# The options of several commands are defined once, so that they have the same name and help text everywhere.
# The first group describes payloads and how events are changed before a command uses them.
Type = Annotated[
    str | None, Option("--type", "type of payloads without an envelope", "TYPE", completion.complete_types)
]
Source = Annotated[str | None, Option("--source", "source of payloads without an envelope", "SOURCE")]
TypeAt = Annotated[str | None, Option("--type-at", "JSON Pointer to the type in a payload, such as /type", "POINTER")]
IdAt = Annotated[
    str | None, Option("--id-at", "JSON Pointer to the id in a payload; equal ids mean the same event", "POINTER")
]
Intake = Annotated[
    str | None,
    Option(
        "--intake",
        "use source, type-at and id-at of this intake in routes.yaml",
        "NAME",
        completion.complete_intakes,
    ),
]
Set = Annotated[
    list[str], Option("--set", "set a field, such as detail.total=5; the event gets a new id", "PATH=VALUE")
]
SetNew = Annotated[list[str], Option("--set-new", "set a field that the event may not have", "PATH=VALUE")]
# Only a bus with consumer groups can be consumed by several processes, and has dead letters.
GroupBus = Annotated[
    str | None,
    Option(
        "--bus",
        "a bus with consumer groups: kafka://HOST:PORT/TOPIC, kafkas://HOST:PORT/TOPIC, eventhubs://HUB, or its name in"
        " routes.yaml",
        "URL|NAME",
    ),
]
# Connections to AWS: settings that are not given come from the same places as for the AWS CLI.
AwsRegion = Annotated[str | None, Option("--region", "AWS region; default: that of the AWS configuration", "REGION")]
AwsEndpoint = Annotated[str | None, Option("--endpoint", "URL of a local endpoint, in place of AWS", "URL")]
AwsProfile = Annotated[str | None, Option("--profile", "profile of the AWS configuration", "NAME")]
EventBus = Annotated[str | None, Option("--event-bus", "event bus of events that do not name one", "NAME")]
# `Of...` options select stored events, deliveries or dead letters.
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
AllowEmpty = Annotated[bool, Option("--allow-empty", "do not fail if the input has no event")]
MaxBytes = Annotated[int, Option("--max-bytes", "maximum size of an event, in bytes", "N", least=1)]
OfPattern = Annotated[str | None, Option("--pattern", "only events that match this event pattern", "JSON|@FILE")]
Limit = Annotated[int | None, Option("--limit", "at most N events", "N", least=1)]
