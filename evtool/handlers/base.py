"""The contract of a handler: its calls, its outcomes, and the options that all kinds share."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from evtool.units import Size, TimeLimit, duration_field, size_field

FUNCTION_FORM = "module:function, or path/to/file.py:function"
FUNCTION_PATTERN = r"^[^:\x00]+:[^:\s\x00()]+$"


class Call(NamedTuple):
    """One attempt of a delivery. `raw` is the event as JSON, or the JSON text that `input` of the route makes of it."""

    raw: bytes
    event_id: str
    event_type: str
    route: str
    attempt: int

    # The number of the delivery in the store.
    delivery: int = 0
    event_source: str = ""

    # The name of the replay to which the delivery belongs.
    replay: str = ""


class Emitted(NamedTuple):
    """An event that a handler emits, with its detail as JSON text. The source is by default the handler's name."""

    type: str
    detail: bytes
    source: str | None = None
    resources: tuple[str, ...] = ()

    # RFC 3339, or seconds since 1970.
    time: str | float | None = None

    # The event bus; by default that of the event that the handler got.
    bus: str | None = None

    # The whole document, if the handler emitted an event with its envelope. evtool replaces only its id.
    envelope: Mapping[str, Any] | None = None


class Done(NamedTuple):
    """The handler succeeded."""

    emitted: tuple[Emitted, ...] = ()
    output: str = ""


class Failed(NamedTuple):
    """The handler failed, and the attempt counts. `final` means that a retry cannot succeed."""

    error: str
    outcome: Literal["failed", "timeout", "crashed", "bad-result"] = "failed"
    output: str = ""
    final: bool = False

    # The handler's own name for the problem: an exit code, a signal, the class of an exception.
    code: str | None = None

    # The seconds that the handler asks to wait before the next attempt.
    retry_after: float = 0.0


class Unavailable(NamedTuple):
    """The handler was not called, or did not reach a system that it needs. The delivery waits and uses no attempt.

    With a `code`, the code of a finding, the handler cannot be loaded. That is a mistake in the project, which does not
    end by itself.
    """

    reason: str
    code: str | None = None

    # Only in the result of `check`: a call would fail for this reason, and use an attempt.
    is_failure: bool = False


Outcome = Done | Failed | Unavailable


class Answer(NamedTuple):
    """The outcome of a call, None if it was not started, and how many seconds it took."""

    outcome: Outcome | None
    seconds: float = 0.0


class Handler(Protocol):
    """A handler that can be called any number of times, until it is closed. All calls come from one thread.

    Some kinds have more methods:

    - `call_many(calls: Sequence[Call], latest: float, call_log: CallLog | None) -> Iterator[Answer]`, if a batch is
      faster than single calls. It yields an answer for each call, in order. It starts no call after `latest`, a time of
      `time.monotonic()`, and records each call in the call log before it starts. Example with three calls, where the
      second one ends after `latest`: the answers are Answer(Done(), 0.1), Answer(Done(), 4.9) and Answer(None). The
      delivery of the third one is given back.
    - `take_lost() -> list[LostEmit]`, if handlers may emit after their call was reported. Any thread may call it.
    - `connect() -> Unavailable | None`, if the kind calls a server. It checks also whether the server can be reached.
    """

    def __call__(self, call: Call) -> Outcome:
        """Handles one event. Exceptions of the handler's code become an outcome."""

    def check(self) -> Unavailable | None:
        """Loads the handler without a call. Returns why it is not available, or None."""

    def close(self) -> None:
        """Ends the processes and threads of the handler. May be called twice."""


def _check_function(value: str) -> str:
    """Returns the name of a function. Raises PydanticCustomError unless it has the right form."""
    # A pattern in the Field would have the regular expression in the message.
    if re.fullmatch(FUNCTION_PATTERN, value) is None:
        module, _, function = map(str.strip, value.partition(":"))
        hint = f"name the function, too: {module or 'module'}:function"
        if module and re.fullmatch(r"[^:\s\x00()]+\(.*\)", function):
            hint = f"without parentheses: {module}:{function.partition('(')[0]}"
        raise PydanticCustomError("path", "{said}", {"said": f"should be {FUNCTION_FORM}", "hint": hint})
    return value


Function = Annotated[
    str,
    AfterValidator(_check_function),
    Field(description=FUNCTION_FORM, json_schema_extra={"pattern": FUNCTION_PATTERN}),
]


class HandlerOptions(BaseModel):
    """The options of all handlers in routes.yaml, of any kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    description: str = ""
    emits: Annotated[list[str], Field(default_factory=list, description="event types that it may emit")]
    timeout: TimeLimit = duration_field("30s", "time limit of one attempt")
    emit_limit: Annotated[int, Field(ge=0, le=10_000, description="the most events that one attempt may emit")] = 100
    emit_bytes: Size = size_field("16MiB", "the most bytes of these events together")
    concurrency: Annotated[
        int, Field(ge=1, le=64, description="the most events that one evtool lets it handle at a time")
    ] = 1
    on_replay: Annotated[Literal["run", "skip"], Field(description="whether a delivering replay calls it")] = "run"

    @property
    def longest_call(self) -> float:
        """The most seconds that a call may take. Some kinds have more limits than `timeout`."""
        return self.timeout

    @property
    def is_in_process(self) -> bool:
        """Whether the handler runs in the main thread of evtool."""
        return False


class ProcessOptions(HandlerOptions):
    """The options of all handlers that run as a process."""

    memory: Size = size_field("2GiB", "the memory limit of each of its processes (Linux)")
    output: Size = size_field("4KiB", "how much of the end of its output an attempt keeps")
    aws: Annotated[
        Literal["local", "inherit"],
        Field(description="local: events that an SDK sends to EventBridge are emitted; inherit: they reach AWS"),
    ] = "local"


class Kind(NamedTuple):
    """A kind of handlers: the class of its options, and the function that creates a handler.

    `open(name, options, folder)` creates the handler `name`. Paths in `options` are relative to `folder`, the folder of
    routes.yaml. `open` starts nothing and looks for nothing: a handler reports problems when it is called or checked.
    """

    options: type[HandlerOptions]
    open: Callable[[str, Any, Path], Handler]
