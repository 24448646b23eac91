"""Packs requests to a worker process, and parses its answers into outcomes. worker.py describes the protocol."""

import json
from struct import Struct
from typing import Any

from evtool.handlers.base import Call, Done, Emitted, Failed, Outcome, Unavailable

# Characters of output that are kept if the handler has no option for it.
OUTPUT_LIMIT = 4096

# The same as in worker.py, which imports nothing of evtool.
REQUEST_HEADER = Struct(">IIQQ")
ANSWER_HEADER = Struct(">IIQ")
NOTHING_EMITTED = b'{"emitted": []}'  # as `call` of worker.py writes it
SEPARATOR = b"\x1e"

# The header has 4 bytes for the number of a call, so that numbers start again at 0 after the largest one.
NUMBERS = 1 << 32

# Bytes of an answer without the emitted details: an error with its traceback, or the list of types.
ANSWER_LIMIT = 1 << 20

# Seconds: a later start means that there is no limit. Infinity does not fit into the header.
MAX_LATEST = 1e9

# The number of a call, its answer, and how many seconds the call took.
TimedMessage = tuple[int, dict[str, Any], float]


class GarbledError(Exception):
    """The pipe for answers contains bytes that the worker did not write."""

    def __init__(self) -> None:
        super().__init__("something wrote to the pipe that belongs to evtool, so the outcome of the call is not known")


def encode_request(number: int, call: Call, latest: float) -> bytes:
    """Packs a call. The worker does not start it after `latest`, a time of `time.monotonic()`."""
    latest_ns = round(min(latest, MAX_LATEST) * 1e9)
    return REQUEST_HEADER.pack(len(call.raw), number % NUMBERS, latest_ns, call.delivery) + call.raw


class AnswerBuffer:
    """The bytes that a worker has sent, and the answers in them. Its numbers of calls grow without a limit."""

    def __init__(self, emit_bytes: int):
        self._limit = emit_bytes + ANSWER_LIMIT
        self._received = bytearray()
        self.add = self._received.extend
        # The number of the answer that is read next.
        self.next_number = 0

    def restart(self) -> None:
        """Drops all bytes, for the answers of another worker."""
        self._received.clear()
        self.next_number = 0

    @property
    def is_empty(self) -> bool:
        """Whether all received bytes have been read."""
        return not self._received

    @property
    def unanswered_number(self) -> int:
        """The number of the first call whose answer has not been received in full."""
        number, start = self.next_number, 0
        while len(self._received) >= start + ANSWER_HEADER.size:
            length, _, _ = ANSWER_HEADER.unpack_from(self._received, start)
            start += ANSWER_HEADER.size + length
            if len(self._received) >= start:
                number += 1
        return number

    def has_message(self) -> bool:
        """Whether an answer has been received in full. Raises GarbledError."""
        if len(self._received) < ANSWER_HEADER.size:
            return False
        length, number, _ = ANSWER_HEADER.unpack_from(self._received)
        if number != self.next_number % NUMBERS or length > self._limit:
            raise GarbledError
        end: int = ANSWER_HEADER.size + length
        return len(self._received) >= end

    def read(self) -> list[TimedMessage]:
        """Takes the answers that have been received. Raises GarbledError."""
        answers: list[TimedMessage] = []
        try:
            while self.has_message():
                length, _, nanoseconds = ANSWER_HEADER.unpack_from(self._received)
                end = ANSWER_HEADER.size + length
                message = parse_answer(bytes(self._received[ANSWER_HEADER.size : end]))
                answers.append((self.next_number, message, nanoseconds / 1e9))
                del self._received[:end]
                self.next_number += 1
        except GarbledError:
            # The answers before it are valid. The bytes stay, so that the next call of `read` raises the error.
            if not answers:
                raise
        return answers


def parse_answer(answer: bytes) -> dict[str, Any]:
    """Parses an answer; "emitted" becomes a list of Emitted. Raises GarbledError."""
    # Most handlers emit nothing.
    if answer == NOTHING_EMITTED:
        return {"emitted": []}
    details = answer.split(SEPARATOR)
    head = details.pop()
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
    """Whether an object has the shape of an answer. A handler can write other objects to the pipe."""
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
    """Returns the outcome that an answer means. Keeps `limit` characters of the output with the traceback.

    `lost` describes an event that the handler emitted outside the call, where it did not see the exception.

    Raises GarbledError for an answer that does not belong to a call that was made.
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
