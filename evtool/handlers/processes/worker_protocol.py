"""Answers: what a worker says of a call (see worker.py), and what it means."""

import json
from typing import Any

from evtool.handlers.base import Done, Emitted, Failed, Outcome, Unavailable

KEEP = 4096  # characters of output, where no handler says how many


SEPARATOR = b"\x1e"  # as in worker.py


class GarbledError(Exception):
    """What came out of the pipe of a worker's answers is none: something else has written to it."""

    def __init__(self) -> None:
        super().__init__("something wrote to the pipe that belongs to evtool, so what came of the call is not known")


def read(answer: bytes) -> dict[str, Any]:
    """An answer. Raises GarbledError."""
    *details, head = answer.split(SEPARATOR)
    try:
        told = json.loads(head)
    except (ValueError, RecursionError):
        raise GarbledError from None
    if not isinstance(told, dict) or not _is_answer(told) or len(told.get("emitted", ())) != len(details):
        raise GarbledError
    if details:
        told["emitted"] = [
            Emitted(kind, text, source) for (kind, source), text in zip(told["emitted"], details, strict=True)
        ]
    return told


def _is_answer(told: dict[str, Any]) -> bool:
    """Whether it has the shape of one: a handler can write to the pipe, too."""
    match told:
        case {"emitted": [*events]}:
            return all(_is_event(each) for each in events)
        case {"error": str(), "outcome": "failed" | "bad-result", "traceback": str(), "code": str() | None}:
            return True
        case {"unavailable": str()} | {"late": True}:
            return True
    return False


def _is_event(told: Any) -> bool:
    match told:
        case [str(), str() | None]:
            return True
    return False


def outcome_of(told: dict[str, Any], output: str = "", keep: int = KEEP) -> Outcome:
    """What an answer means. Of the output and a traceback so much is kept.

    Raises GarbledError for what nobody answers who has made a call.
    """
    if "unavailable" in told:
        return Unavailable(told["unavailable"])
    if "error" in told:
        log = output + told["traceback"]
        log = log[max(len(log) - keep, 0) :]
        return Failed(told["error"], told["outcome"], log, final=told["outcome"] == "bad-result", code=told["code"])
    if "late" in told:
        raise GarbledError
    return Done(tuple(told["emitted"]), output)
