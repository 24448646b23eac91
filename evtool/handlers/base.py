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
    """One attempt: the event as JSON bytes, or what the route's input makes of it; what it is; and which attempt."""

    raw: bytes
    event_id: str
    event_type: str
    route: str
    attempt: int
    delivery: int = 0  # its number in the store
    event_source: str = ""
    replay: str = ""  # the name of the replay that it belongs to


class Emitted(NamedTuple):
    """An event that a handler tells, its detail as JSON text. Without a source, the handler's name is the source."""

    type: str
    detail: bytes
    source: str | None = None
    resources: tuple[str, ...] = ()
    time: str | float | None = None  # or seconds since 1970
    bus: str | None = None  # the event bus; without one, that of the event that the handler got
    envelope: Mapping[str, Any] | None = None  # a whole document that is kept; only its id is replaced


class Done(NamedTuple):
    """The handler did its work."""

    emitted: tuple[Emitted, ...] = ()
    output: str = ""


class Failed(NamedTuple):
    """The handler tried and failed: the attempt counts. `final` means that trying again cannot help."""

    error: str
    outcome: Literal["failed", "timeout", "crashed", "bad-result"] = "failed"
    output: str = ""
    final: bool = False
    code: str | None = None  # how the handler put it: an exit code, a signal, the class of an exception
    retry_after: float = 0.0  # seconds that it asks to be left alone


class Unavailable(NamedTuple):
    """The handler was not called, or did not reach what it works with: no attempt is used up, the delivery waits.

    With a `code`, that of a finding, the handler cannot be loaded: a mistake in the project that waiting cannot mend.
    """

    reason: str
    code: str | None = None


Outcome = Done | Failed | Unavailable


class Answer(NamedTuple):
    """What came of a call, None if it was not begun, and how many seconds it took."""

    outcome: Outcome | None
    seconds: float = 0.0


class Handler(Protocol):
    """A handler that is ready to be called, as often as needed, until it is closed.

    It is called in a thread, always the same one. A kind that is faster for many calls has a method, too,
    `call_many(calls: Sequence[Call], latest: float, call_log: CallLog | None) -> Iterator[Answer]`: an answer for each,
    in order; none is begun after `latest`, a time of `time.monotonic()`; each is written to the call log
    before it begins. A kind whose handlers may emit after their call was reported has a method
    `take_lost() -> list[LostEmit]`, which any thread may call. A kind that calls a server has a method
    `connect() -> Unavailable | None`, too: `check`, and whether the server can be reached.
    """

    def __call__(self, call: Call) -> Outcome:
        """Handle one event. Never raises for what the handler's own code does."""

    def check(self) -> Unavailable | None:
        """Load it without a call, as far as this is possible. Why it is not available, or None."""

    def close(self) -> None:
        """End whatever is kept warm. May be called twice."""


def _check_function(value: str) -> str:
    """The name of a function. Raises what routes.py tells: pydantic would tell a regular expression."""
    if re.fullmatch(FUNCTION_PATTERN, value) is None:
        module, _, function = (part.strip() for part in value.partition(":"))
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
    """What every handler in routes.yaml may say, whatever its kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    description: str = ""
    emits: Annotated[list[str], Field(default_factory=list, description="event types that it may emit")]
    timeout: TimeLimit = duration_field("30s", "time limit of one attempt")
    emit_limit: Annotated[int, Field(ge=0, le=10_000, description="how many events one attempt may emit")] = 100
    emit_bytes: Size = size_field("16MiB", "how long they may be together")
    concurrency: Annotated[
        int, Field(ge=1, le=64, description="how many events it may handle at a time, by each evtool")
    ] = 1
    on_replay: Annotated[Literal["run", "skip"], Field(description="whether a delivering replay calls it")] = "run"

    @property
    def longest_call(self) -> float:
        """Seconds that a call may take, as far as its kind has more limits than `timeout`."""
        return self.timeout

    @property
    def is_in_process(self) -> bool:
        """Whether it runs inside evtool, in its main thread, while evtool waits."""
        return False


class ProcessOptions(HandlerOptions):
    """What every handler may say that runs as a process."""

    memory: Size = size_field("2GiB", "how much memory each of its processes may take (Linux)")
    output: Size = size_field("4KiB", "how much is kept of what one attempt prints, the last of it")
    aws: Annotated[
        Literal["local", "inherit"],
        Field(description="local: what it sends to EventBridge with an SDK of AWS is emitted; inherit: it is sent"),
    ] = "local"


class Kind(NamedTuple):
    """A way to run handlers: the options it takes, and how a handler is made of them.

    `open(name, options, folder)` makes the handler `name`; relative paths in `options` count from `folder`,
    the one that routes.yaml is in. It starts nothing yet: what is missing shows when the handler is called.
    """

    options: type[HandlerOptions]
    open: Callable[[str, Any, Path], Handler]
