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
    str | None, Option("--type", "the type of a payload that has no envelope", "TYPE", completion.complete_types)
]
Source = Annotated[str | None, Option("--source", "who says it, for a payload that has no envelope", "SOURCE")]
TypeAt = Annotated[
    str | None, Option("--type-at", "where a payload has its type: a JSON Pointer such as /type", "POINTER")
]
IdAt = Annotated[
    str | None, Option("--id-at", "where a payload has its id; the same id again is the same event", "POINTER")
]
Intake = Annotated[
    str | None,
    Option(
        "--intake",
        "payloads as an intake of routes.yaml describes them: source, type-at, id-at",
        "NAME",
        completion.complete_intakes,
    ),
]
SetNew = Annotated[list[str], Option("--set-new", "set a field that the event need not have", "PATH=VALUE")]
EventBus = Annotated[str | None, Option("--event-bus", "the bus of events that name none", "NAME")]
OfType = Annotated[str | None, Option("--type", "only events of this type", "TYPE", completion.complete_types)]
OfSource = Annotated[str | None, Option("--source", "only events from this source", "SOURCE")]
OfRoute = Annotated[str | None, Option("--route", "only this route", "NAME", completion.complete_routes)]
OfHandler = Annotated[str | None, Option("--handler", "only this handler", "NAME", completion.complete_handlers)]
Since = Annotated[
    str | None, Option("--since", "from this time on: 2026-11-23T10:00Z, 2026-11-23, or 2h ago as 2h", "TIME")
]
Until = Annotated[str | None, Option("--until", "before this time", "TIME")]
OlderThan = Annotated[str | None, Option("--older-than", "only what is older: 30d, 12h", "TIME")]
NoValidate = Annotated[bool, Option("--no-validate", "let events in without holding them against schemas")]
NoSchema = Annotated[
    Literal["error", "warn", "ignore"],
    Option("--no-schema", "what a type without a schema is: error, warn or ignore", "LEVEL"),
]
Unwrap = Annotated[bool, Option("--unwrap", "take events out of SQS, SNS, CloudWatch Logs, Kafka and Kinesis records")]
AllowEmpty = Annotated[bool, Option("--allow-empty", "an input without an event is not an error")]
MaxBytes = Annotated[int, Option("--max-bytes", "the longest event that is read", "N", least=1)]
Limit = Annotated[int | None, Option("--limit", "at most N events", "N", least=1)]
