"""Parses the messages of a worker process (see worker.py) and converts them to outcomes."""

import json
from typing import Any

from evtool.handlers.base import Done, Emitted, Failed, Outcome, Unavailable

OUTPUT_LIMIT = 4096  # characters of output, where no handler says how many


SEPARATOR = b"\x1e"  # as in worker.py


class GarbledError(Exception):
    """What came out of the pipe of a worker's answers is none: something else has written to it."""

    def __init__(self) -> None:
        super().__init__("something wrote to the pipe that belongs to evtool, so what came of the call is not known")


def parse_answer(answer: bytes) -> dict[str, Any]:
    """An answer. Raises GarbledError."""
    *details, head = answer.split(SEPARATOR)
    try:
        message = json.loads(head)
    except (ValueError, RecursionError):
        raise GarbledError from None
    if not isinstance(message, dict) or not _is_answer(message) or len(message.get("emitted", ())) != len(details):
        raise GarbledError
    if details:
        message["emitted"] = [
            Emitted(kind, text, source) for (kind, source), text in zip(message["emitted"], details, strict=True)
        ]
    return message


def _is_answer(message: dict[str, Any]) -> bool:
    """Whether it has the shape of one: a handler can write to the pipe, too."""
    match message:
        case {"emitted": [*events]}:
            return all(_is_event(event) for event in events)
        case {"error": str(), "outcome": "failed" | "bad-result", "traceback": str(), "code": str() | None}:
            return True
        case {"unavailable": str()} | {"late": True}:
            return True
    return False


def _is_event(value: Any) -> bool:
    match value:
        case [str(), str() | None]:
            return True
    return False


def outcome_of(
    message: dict[str, Any], output: str = "", limit: int = OUTPUT_LIMIT, *, lost: str | None = None
) -> Outcome:
    """What an answer means. Of the output and a traceback so much is kept.

    `lost` says which event was emitted outside the call, where the handler did not see the exception.

    Raises GarbledError for what nobody answers who has made a call.
    """
    if "unavailable" in message:
        return Unavailable(message["unavailable"])
    if "error" in message:
        log = output + message["traceback"]
        log = log[max(len(log) - limit, 0) :]
        return Failed(
            message["error"], message["outcome"], log, final=message["outcome"] == "bad-result", code=message["code"]
        )
    if "late" in message:
        raise GarbledError
    if lost:
        return Failed(lost, output=output)
    return Done(tuple(message["emitted"]), output)
