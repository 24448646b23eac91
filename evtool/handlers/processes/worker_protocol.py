"""Parses the messages of a worker process (see worker.py) and converts them to outcomes."""

import json
from typing import Any

from evtool.handlers.base import Call, Done, Emitted, Failed, Outcome, Unavailable

OUTPUT_LIMIT = 4096  # characters of output, where no handler says how many


HEADER_BYTES = 16  # bytes before an answer (see worker.py)
ANSWER_LIMIT = 1 << 20  # bytes of an answer besides what is emitted: an error with its traceback, or brackets
MAX_LATEST = 1e9  # seconds: what is later than that is no limit
SEPARATOR = b"\x1e"  # as in worker.py


TimedMessage = tuple[int, dict[str, Any], float]  # the number of a call, its answer, and how many seconds it took


class GarbledError(Exception):
    """What came out of the pipe of a worker's answers is none: something else has written to it."""

    def __init__(self) -> None:
        super().__init__("something wrote to the pipe that belongs to evtool, so what came of the call is not known")


def encode_request(number: int, call: Call, latest: float) -> bytes:
    """A call as the worker reads it; it does not begin with it after `latest`, a time of `time.monotonic()`."""
    header = len(call.raw) << 32 | number % (1 << 32)
    times = round(min(latest, MAX_LATEST) * 1e9) << 64 | call.delivery
    return header.to_bytes(8) + times.to_bytes(16) + call.raw


class AnswerBuffer:
    """The bytes that a worker has sent, and the answers in them. Numbers count on; on the pipe they are 4 bytes."""

    def __init__(self, emit_bytes: int):
        self._limit = emit_bytes + ANSWER_LIMIT
        self._received = bytearray()
        self.add = self._received.extend
        self.next_number = 0  # of the next answer that is read

    def restart(self) -> None:
        """Begins with the answers of another worker."""
        self._received.clear()
        self.next_number = 0

    @property
    def is_empty(self) -> bool:
        """Whether all that was sent has been read."""
        return not self._received

    @property
    def unanswered_number(self) -> int:
        """The number of the first call whose answer has not been received."""
        number, start = self.next_number, 0
        while len(self._received) >= start + HEADER_BYTES:
            start += HEADER_BYTES + int.from_bytes(self._received[start : start + 4])
            number += len(self._received) >= start
        return number

    def has_message(self) -> bool:
        """Whether an answer is there. Raises GarbledError."""
        if len(self._received) < HEADER_BYTES:
            return False
        length, number = divmod(int.from_bytes(self._received[:8]), 1 << 32)
        if number != self.next_number % (1 << 32) or length > self._limit:
            raise GarbledError
        return len(self._received) >= HEADER_BYTES + length

    def read(self) -> list[TimedMessage]:
        """The answers that have come. Raises GarbledError."""
        answers: list[TimedMessage] = []
        try:
            while self.has_message():
                end = HEADER_BYTES + int.from_bytes(self._received[:4])
                seconds = int.from_bytes(self._received[8:HEADER_BYTES]) / 1e9
                message = parse_answer(bytes(self._received[HEADER_BYTES:end]))
                answers.append((self.next_number, message, seconds))
                del self._received[:end]
                self.next_number += 1
        except GarbledError:
            if not answers:  # else it comes again after these
                raise
        return answers


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
