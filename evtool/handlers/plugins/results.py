"""Checks the outcome that the handler of a plugin returned, so that the store gets only values that it can hold."""

import json
from collections.abc import Mapping
from math import inf
from typing import Any

from evtool.events.buses import parse_bus_name
from evtool.handlers.base import Done, Emitted, Failed, HandlerOptions, Outcome, Unavailable
from evtool.handlers.plugins.errors import clean_text
from evtool.handlers.processes.emit_file import describe_excess
from evtool.handlers.processes.worker_protocol import OUTPUT_LIMIT
from evtool.readers.json_text import JsonProblem, parse_json

OUTCOMES = ("failed", "timeout", "crashed", "bad-result")

# The codes of handlers that cannot be loaded.
LOAD_CODES = ("EV501", "EV502", "EV503")


def clean_outcome(outcome: Outcome, printed: str) -> Outcome:
    """Returns the outcome with texts that can be stored. Raises ValueError with its problem if a type is wrong."""
    match outcome:
        case Unavailable(str(reason), None | str()):
            if outcome.code is not None and outcome.code not in LOAD_CODES:
                raise ValueError(f"the code of Unavailable is None or one of {', '.join(LOAD_CODES)}")
            return Unavailable(clean_text(reason), outcome.code)
        case Failed(str(error), _, str(output), bool(), None | str(), retry_after) if (
            outcome.outcome in OUTCOMES and is_pause(retry_after)
        ):
            code = outcome.code and clean_text(outcome.code)
            return outcome._replace(error=clean_text(error), output=join_output(printed, output), code=code)
        case Done(list() | tuple(), str(output)):
            emitted = []
            for number, event in enumerate(outcome.emitted, 1):
                emitted.append(_check_emitted(number, event))
            return Done(tuple(emitted), join_output(printed, output))
        case Unavailable() | Failed() | Done():
            raise ValueError(f"{type(outcome).__name__} has a field of a wrong type")
    raise ValueError(f"it returned a value of type {type(outcome).__name__} in place of Done, Failed or Unavailable")


def is_pause(value: object) -> bool:
    """Whether a value is a number of seconds that evtool can wait."""
    return isinstance(value, int | float) and 0 <= value < inf


def find_excess(done: Done, options: HandlerOptions) -> str | None:
    """Returns why a call emitted too much, or None."""
    if len(done.emitted) > options.emit_limit:
        return f"emitted more than {options.emit_limit} events (emit_limit)"
    size = sum(len(event.type) + len(event.detail) for event in done.emitted)
    if size > options.emit_bytes:
        return describe_excess(options.emit_bytes)
    return None


def join_output(printed: str, output: str) -> str:
    """Returns the end of the text that a call printed, followed by the output of its outcome."""
    separator = ""
    if printed and output and not printed.endswith("\n"):
        separator = "\n"
    return clean_text((printed + separator + output[-OUTPUT_LIMIT:])[-OUTPUT_LIMIT:], OUTPUT_LIMIT)


def _check_emitted(number: int, event: Any) -> Emitted:
    if not isinstance(event, Emitted):
        raise ValueError(f"the emitted event {number} is of type {type(event).__name__} in place of Emitted")
    for field, types in _TYPES.items():
        if not isinstance(getattr(event, field), types):
            raise ValueError(f"{field} of the emitted event {number} has a wrong type")
    if not event.type or not all(isinstance(name, str) for name in event.resources):
        raise ValueError(f"the emitted event {number} has no type, or resources that are not strings")
    try:
        detail = parse_json(event.detail)
    except JsonProblem as problem:
        raise ValueError(f"detail of the emitted event {number}, column {problem.column}: {problem}") from None
    if not isinstance(detail, dict):
        raise ValueError(f"detail of the emitted event {number} is not an object")
    # These must also be writable as UTF-8, which a string with a lone surrogate is not.
    try:
        bus = parse_bus_name(event.bus)
        json.dumps([event.type, event.source, bus, event.envelope], ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the emitted event {number}: {error}") from None
    return event._replace(resources=tuple(event.resources), bus=bus)


_TYPES: Mapping[str, Any] = {
    "type": str,
    "detail": bytes,
    "source": str | None,
    "resources": tuple | list,
    "time": str | int | float | None,
    "bus": str | None,
    "envelope": Mapping | None,
}
